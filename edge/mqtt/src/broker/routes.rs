//! Who wants a topic: a tree with one node per level of every filter.

use std::collections::HashMap;
use std::sync::Arc;

use super::session::Session;
use crate::topic;

/// How one subscription wants its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    /// 0 or 1.
    pub(crate) qos: u8,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<u32>,
}

#[derive(Default)]
pub(crate) struct Routes {
    children: HashMap<Box<str>, Routes>,
    plus: Option<Box<Routes>>,
    /// Filters that end here.
    here: Vec<(Arc<Session>, Wish)>,
    /// Filters that end in `#` below here.
    below: Vec<(Arc<Session>, Wish)>,
}

impl Routes {
    /// Adds or replaces. Filters are bounded in depth where they come in, and so is the recursion.
    pub(crate) fn insert(&mut self, filter: &str, session: &Arc<Session>, wish: Wish) {
        let list = self.list_mut(filter);
        match list.iter_mut().find(|(held, _)| Arc::ptr_eq(held, session)) {
            Some((_, held)) => *held = wish,
            None => list.push((Arc::clone(session), wish)),
        }
    }

    fn list_mut(&mut self, filter: &str) -> &mut Vec<(Arc<Session>, Wish)> {
        let mut node = self;
        for level in filter.split('/') {
            node = match level {
                "#" => return &mut node.below,
                "+" => node.plus.get_or_insert_default(),
                level => node.children.entry(level.into()).or_default(),
            };
        }
        &mut node.here
    }

    /// Takes the session's subscription to this filter away, and the branches that only it held.
    pub(crate) fn remove(&mut self, filter: &str, session: &Arc<Session>) {
        let (level, rest) = match filter.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (filter, None),
        };
        if level == "#" {
            self.below.retain(|(held, _)| !Arc::ptr_eq(held, session));
            return;
        }
        let child = match level {
            "+" => self.plus.as_deref_mut(),
            level => self.children.get_mut(level),
        };
        let Some(child) = child else { return };
        match rest {
            Some(rest) => child.remove(rest, session),
            None => child.here.retain(|(held, _)| !Arc::ptr_eq(held, session)),
        }
        if child.is_empty() {
            match level {
                "+" => self.plus = None,
                level => {
                    self.children.remove(level);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.here.is_empty() && self.below.is_empty() && self.plus.is_none() && self.children.is_empty()
    }

    /// Calls `each` for every subscription that matches, more than once for a session with overlapping ones.
    pub(crate) fn find<'a>(&'a self, name: &str, each: &mut impl FnMut(&'a Arc<Session>, &'a Wish)) {
        let wild = topic::wildcard_may_lead(name);
        self.descend(Some(name), wild, each);
    }

    fn descend<'a>(
        &'a self,
        name: Option<&str>,
        wild: bool,
        each: &mut impl FnMut(&'a Arc<Session>, &'a Wish),
    ) {
        if wild {
            self.below.iter().for_each(|(session, wish)| each(session, wish));
        }
        let Some(name) = name else {
            self.here.iter().for_each(|(session, wish)| each(session, wish));
            return;
        };
        let (level, rest) = match name.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (name, None),
        };
        if let Some(child) = self.children.get(level) {
            child.descend(rest, true, each);
        }
        if wild && let Some(plus) = &self.plus {
            plus.descend(rest, true, each);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WISH: Wish = Wish { qos: 1, no_local: false, retain_as_published: false, identifier: None };

    fn found(routes: &Routes, name: &str) -> Vec<Arc<str>> {
        let mut ids = Vec::new();
        routes.find(name, &mut |session, _| ids.push(Arc::clone(&session.id)));
        ids.sort();
        ids
    }

    proptest! {
        /// The obvious way beside the clever one: each filter asked on its own.
        #[test]
        fn the_tree_finds_what_asking_every_filter_finds(
            filters in prop::collection::vec("(\\$|[ab+]|)(/(a|b|\\+|)){0,3}(/#|)", 0..20),
            names in prop::collection::vec("(\\$|[ab]|)(/(a|b|)){0,4}", 1..20),
            removed in prop::collection::vec(any::<bool>(), 20),
        ) {
            let mut routes = Routes::default();
            let mut held = Vec::new();
            for (at, filter) in filters.iter().filter(|filter| topic::is_filter(filter)).enumerate() {
                let session = Session::new(format!("{at:02}").into());
                routes.insert(filter, &session, WISH);
                held.push((filter, session, removed[at]));
            }
            for (filter, session, _) in held.iter().filter(|(_, _, removed)| *removed) {
                routes.remove(filter, session);
            }
            for name in names.iter().filter(|name| topic::is_name(name)) {
                let slow: Vec<_> = held
                    .iter()
                    .filter(|(filter, _, removed)| !removed && topic::matches(filter, name))
                    .map(|(_, session, _)| Arc::clone(&session.id))
                    .collect();
                prop_assert_eq!(found(&routes, name), slow, "{} in {:?}", name, filters);
            }
            for (filter, session, _) in &held {
                routes.remove(filter, session);
            }
            prop_assert!(routes.is_empty(), "branches are left of removed filters");
        }
    }
}
