//! Strangers with identities of their own that open streams of our protocols to every node, again and again.
//!
//! Promises: as many streams as said are kept up; an attack counts only once it has reached its strength.
//! Does not: know what is done with a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use haulout_actors::network::{Network, NetworkOptions, Protocol, Role, Stream, Transport};
use haulout_actors::position::Position;
use haulout_actors::supervisor::{Budget, Plan, Strategy, Supervisor};
use haulout_protocol::blob::BlobId;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::conditions::Name;
use haulout_protocol::message::NetworkId;
use haulout_tests::{put, sample_blob};
use tokio::sync::watch;

use crate::siege::{Figures, Siege, scale};
use crate::stranger::{self, Origin, until};

/// Identities; with twenty streams each, so many once took every place of every node.
const IDENTITIES: usize = 14;
/// Between two attempts of a stream at a node that said no: strangers are streams here, and dials elsewhere.
const PAUSE: Duration = Duration::from_millis(500);

/// One attack on one network.
pub(crate) struct Assault {
    siege: Siege,
    calm: Figures,
    memory: Vec<u64>,
    strangers: Vec<(Network, Supervisor)>,
    tried: Arc<AtomicUsize>,
    wanted: usize,
    named: Option<Name>,
    /// Dropped with the attack: the strangers hear of it and stop.
    over: watch::Sender<()>,
}

impl Assault {
    /// A network, what is normal there, and strangers that know its nodes.
    pub(crate) async fn begin() -> Assault {
        Assault::on(Siege::start()).await
    }

    /// The same beside honest clients whose blobs are so long.
    pub(crate) async fn beside(length: usize) -> Assault {
        Assault::on(Siege::beside(length)).await
    }

    async fn on(mut siege: Siege) -> Assault {
        let calm = siege.calm().await;
        let memory = siege.memory();
        let mut strangers = Vec::new();
        for number in 0..IDENTITIES * scale() {
            let stranger = stranger::strangers().spawn(stranger(siege.network.clone(), number));
            strangers.push(stranger.await.unwrap());
        }
        for (network, _) in &strangers {
            for target in &siege.targets {
                let address = format!("/ip4/127.0.0.1/udp/{}/quic-v1", target.port);
                network.add_addresses(target.peer_id.parse().unwrap(), vec![address]);
            }
        }
        let (tried, over) = (Arc::default(), watch::Sender::new(()));
        Assault { siege, calm, memory, strangers, tried, wanted: 0, named: None, over }
    }

    /// A blob that an honest client stored.
    pub(crate) async fn prey(&self, length: usize) -> BlobId {
        let client = self.siege.client().await.unwrap();
        let stored = put(&client, &sample_blob(1 << 32, length)).await.unwrap();
        client.close().await;
        stored.blob_id
    }

    /// What an honest client knows of the network.
    pub(crate) async fn position(&self) -> Position {
        let client = self.siege.client().await.unwrap();
        let position = client.context().position.current();
        client.close().await;
        position
    }

    /// Every stranger keeps so many streams of a protocol to every node, and does this with each.
    pub(crate) fn send<Run, Running>(&mut self, protocol: Protocol, streams: usize, run: Run)
    where
        Run: Fn(Stream) -> Running + Clone + Send + Sync + 'static,
        Running: Future<Output = Result<()>> + Send,
    {
        self.send_to(protocol, streams, move |_, stream| run(stream));
    }

    /// The same, for what depends on the node.
    pub(crate) fn send_to<Run, Running>(&mut self, protocol: Protocol, streams: usize, run: Run)
    where
        Run: Fn(PeerId, Stream) -> Running + Clone + Send + Sync + 'static,
        Running: Future<Output = Result<()>> + Send,
    {
        for (network, _) in &self.strangers {
            for target in &self.siege.targets {
                let peer: PeerId = target.peer_id.parse().unwrap();
                for _ in 0..streams {
                    let (network, run, tried) = (network.clone(), run.clone(), self.tried.clone());
                    self.wanted += 1;
                    let mut over = self.over.subscribe();
                    let attack = async move {
                        loop {
                            let opened = network.open(peer, protocol).await;
                            tried.fetch_add(1, Ordering::Relaxed);
                            match opened {
                                Ok(stream) => drop(run(peer, stream).await),
                                Err(_) => tokio::time::sleep(PAUSE).await,
                            }
                        }
                    };
                    stranger::attack(async move {
                        tokio::select! {
                            () = attack => {}
                            _ = over.changed() => {}
                        }
                    });
                }
            }
        }
    }

    /// The nodes must say this of themselves.
    pub(crate) fn is_named(&mut self, condition: Name) {
        self.named = Some(condition);
    }

    /// The members must still reach a member of theirs that starts under the attack.
    pub(crate) async fn members_reach_each_other(&mut self) {
        let (tried, enough) = (self.tried.clone(), self.wanted * 9 / 10);
        until("the strangers are there", || tried.load(Ordering::Relaxed) >= enough).await;
        assert!(self.siege.is_last_node_reached_anew().await, "strangers took every dial back");
    }

    /// Lets honest clients work under the attack; fails if one noticed, a node ended, or grew too large.
    pub(crate) async fn judge(mut self, attack: &str) {
        let (tried, enough) = (self.tried.clone(), self.wanted * 9 / 10);
        until("the strangers are there", || tried.load(Ordering::Relaxed) >= enough).await;
        let under = self.siege.endure().await;
        if let Some(condition) = self.named {
            self.siege.names(condition).await;
        }
        let Assault { siege, calm, memory, strangers, over, .. } = self;
        drop(over);
        for (_, supervisor) in strangers {
            supervisor.shutdown().await;
        }
        siege.judge(attack, &calm, &under, &memory).await;
    }
}

async fn stranger(network: String, number: usize) -> (Network, Supervisor) {
    let mut secret_key = [0x5a; 32];
    secret_key[..8].copy_from_slice(&u64::try_from(number).unwrap().to_le_bytes());
    let network = Network::new(NetworkOptions {
        secret_key,
        network: network.parse::<NetworkId>().unwrap(),
        // QUIC dials from where it listens.
        listen: vec![format!("/ip4/{}/udp/0/quic-v1", Origin::wanted().of(number))],
        external: Vec::new(),
        bootstrap: Vec::new(),
        role: Role::Client,
        prefer: Transport::Quic,
        registry: Arc::default(),
    })
    .unwrap();
    let supervisor = Supervisor::start(Plan {
        name: "stranger".into(),
        strategy: Strategy::OneForOne,
        budget: Budget { restarts: 1, window: Duration::from_secs(60) },
        children: vec![network.child()],
        on_restart: None,
    })
    .await
    .unwrap();
    (network, supervisor)
}
