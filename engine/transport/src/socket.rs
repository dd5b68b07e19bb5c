//! How sockets are set.

use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// Bytes the kernel takes beyond what is on its way already. What a heartbeat may have to wait behind,
/// besides one chunk; it does not limit throughput, since bytes in flight are not counted.
const NOT_SENT: u32 = 32 * 1024;

/// No delay for small writes, little queued in the kernel, and an error when sent bytes stay
/// unacknowledged for `idle_timeout`.
pub(crate) fn configure(socket: &TcpStream, idle_timeout: Duration) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        socket.set_tcp_notsent_lowat(NOT_SENT)?;
        socket.set_tcp_user_timeout(Some(idle_timeout))?;
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = idle_timeout;
        socket.set_send_buffer_size(2 * NOT_SENT as usize)?;
    }
    Ok(())
}
