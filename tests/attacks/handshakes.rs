//! Connections that are opened and say nothing, and are opened again when they are closed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::siege::{Siege, scale};
use crate::stranger::{BREATH, Origin, attack, until};

/// Two more than the places that all handshakes together once had.
const CONNECTIONS: usize = 66;

pub(crate) async fn connections_that_say_nothing() {
    let mut siege = Siege::start();
    let calm = siege.calm().await;
    let (memory, open) = (siege.memory(), Arc::new(AtomicUsize::new(0)));
    let wanted = CONNECTIONS * scale();
    for target in &siege.targets {
        for number in 0..wanted {
            attack(hold(Origin::wanted().of(number), target.port, open.clone()));
        }
    }
    let enough = wanted.min(100) * siege.targets.len() * 9 / 10;
    until("the silent connections are there", || open.load(Ordering::Relaxed) >= enough).await;
    let under = siege.endure().await;
    siege.judge("connections that say nothing", &calm, &under, &memory).await;
}

/// One connection, again and again.
async fn hold(from: Ipv4Addr, port: u16, open: Arc<AtomicUsize>) {
    loop {
        if let Ok(mut stream) = connect(from, port).await {
            open.fetch_add(1, Ordering::Relaxed);
            // What a node says by itself is not listened to; the end of the connection is.
            let mut said = [0; 64];
            while stream.read(&mut said).await.is_ok_and(|length| length > 0) {}
            open.fetch_sub(1, Ordering::Relaxed);
        }
        tokio::time::sleep(BREATH).await;
    }
}

async fn connect(from: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}
