//! A connection to the ledger that breaks when a test says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::world::World;

/// Whether an account has less of the network's token than this.
pub(crate) fn has_paid(
    world: &World,
    owner: Address,
    before: u64,
) -> impl Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static {
    let (client, kind) = (world.client.clone(), world.wal_type());
    move || {
        let request =
            rpc::GetBalanceRequest::default().with_owner(owner).with_coin_type(kind.clone());
        let mut client = client.clone().state_client();
        let paid = async move {
            let answer = client.get_balance(request).await.unwrap();
            answer.into_inner().balance().balance() < before
        };
        paid.boxed()
    }
}

/// Passes bytes on to the ledger and back, until an answer is to be lost.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// How many connections were cut.
    pub(crate) cuts: Arc<AtomicUsize>,
    _serving: AbortOnDropHandle<()>,
}

impl Relay {
    /// Cuts, once, the connection that would bring the first answer after `is_due` came true.
    pub(crate) async fn start<Due>(
        ledger: SocketAddr,
        is_due: impl Fn() -> Due + Send + Sync + 'static,
    ) -> Relay
    where
        Due: Future<Output = bool> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, is_due) = (Arc::new(AtomicUsize::new(0)), Arc::new(is_due));
        let counted = cuts.clone();
        let was_cut = Arc::new(AtomicBool::new(false));
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (counted, was_cut, is_due) = (counted.clone(), was_cut.clone(), is_due.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(ledger).await else { return };
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    let _up = AbortOnDropHandle::new(tokio::spawn(async move {
                        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                    }));
                    let mut bytes = vec![0; 64 << 10];
                    while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                        if !was_cut.load(Ordering::SeqCst) && is_due().await {
                            was_cut.store(true, Ordering::SeqCst);
                            counted.fetch_add(1, Ordering::SeqCst);
                            return; // both halves close, and what was read is lost
                        }
                        if to_client.write_all(&bytes[..count]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Relay { address, cuts, _serving: AbortOnDropHandle::new(serving) }
    }
}
