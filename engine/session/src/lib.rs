//! Drives one sync session over one link: the same loop at the edge and in the cloud.
