//! Connections that are opened and say nothing, and are opened again when they are closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::siege::{Siege, scale};
use crate::stranger::{BREATH, attack, until};

/// Two more than the places that all handshakes together once had.
const CONNECTIONS: usize = 66;

pub(crate) async fn connections_that_say_nothing() {
    let mut siege = Siege::start();
    let calm = siege.calm().await;
    let (memory, open) = (siege.memory(), Arc::new(AtomicUsize::new(0)));
    let wanted = CONNECTIONS * scale();
    for target in &siege.targets {
        for _ in 0..wanted {
            attack(hold(target.port, open.clone()));
        }
    }
    let enough = wanted.min(100) * siege.targets.len() * 9 / 10;
    until("the silent connections are there", || open.load(Ordering::Relaxed) >= enough).await;
    let under = siege.endure().await;
    siege.judge("connections that say nothing", &calm, &under, &memory);
}

/// One connection, again and again.
async fn hold(port: u16, open: Arc<AtomicUsize>) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            open.fetch_add(1, Ordering::Relaxed);
            // What a node says by itself is not listened to; the end of the connection is.
            let mut said = [0; 64];
            while stream.read(&mut said).await.is_ok_and(|length| length > 0) {}
            open.fetch_sub(1, Ordering::Relaxed);
        }
        tokio::time::sleep(BREATH).await;
    }
}
