//! `haulout node register`: puts a node on the ledger.
//!
//! Promises: everything the ledger would refuse is refused before the bond is paid; `--dry-run`
//! makes no keys.

use std::path::Path;

use clap::Args;
use haulout_actors::chain::{Balances, NodeRegistration, RegisteredNode, StakeBook};
use haulout_actors::network;
use haulout_protocol::chain::object::staking::Asks;
use haulout_protocol::crypto::SecretKey;
use serde_json::{Value, json};

use super::operator::{Purse, advertised, metadata, pair};
use crate::calendar::Calendar;
use crate::cli::Cli;
use crate::cli::output::{Output, size};
use crate::cli::owner::{Consent, one_word};
use crate::cli::stake::{selection_json, selection_text};
use crate::config::{NodeConfig, Size};
use crate::error::{Error, Kind, Result};
use crate::keys::{self, Kind as KeyKind, Secret};
use crate::ledger_client::LedgerClient;
use crate::stakes::{self, Application, Selection};
use crate::words::{self, coins, percent, sui, wal, wal_json};

/// Register this node on the ledger
///
/// Reads the node's configuration: its keys (made if there are none yet), its addresses and its
/// name. Both keys sign for the wallet, which pays the bond and gets the cap that speaks for the
/// node. The node serves once it has stake enough to be chosen.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout --config node.toml node register --capacity 3TiB \
                        --dry-run\n  haulout --config node.toml node register --capacity 3TiB \
                        --commission 5% --metadata site=https://tern.example")]
pub(in crate::cli) struct Register {
    /// Encoded bytes the node can hold, as in 3TiB
    #[arg(long, value_name = "SIZE")]
    capacity: Size,
    /// The node's name (node.name)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Deposit so much, as in 10WAL; the least there may be, if nothing is said
    #[arg(long, value_name = "AMOUNT", value_parser = words::amount)]
    bond: Option<u64>,
    /// The operator's part of rewards
    #[arg(long, value_name = "PART", default_value = "5%", value_parser = words::basis_points)]
    commission: u16,
    /// Ask so much for an encoded MiB and epoch, as in 1000FROST; the price in force, if nothing is said
    #[arg(long, value_name = "AMOUNT", value_parser = words::amount)]
    storage_price: Option<u64>,
    /// Ask so much for writing an encoded MiB; the price in force, if nothing is said
    #[arg(long, value_name = "AMOUNT", value_parser = words::amount)]
    write_price: Option<u64>,
    /// An address others reach the node at, repeat for more (network.external, then listen)
    #[arg(long, value_name = "MULTIADDR")]
    address: Vec<String>,
    /// Free text about the node, repeat for more
    #[arg(long, value_name = "TOPIC=TEXT", value_parser = pair)]
    metadata: Vec<(String, String)>,
    #[command(flatten)]
    purse: Purse,
    #[command(flatten)]
    consent: Consent,
}

/// The keys of a node.
struct NodeKeys {
    network: Secret,
    protocol: SecretKey,
}

impl Register {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let config = cli.load(self.purse.settings()?)?;
        config.wallet().ok_or_else(|| keys::no_wallet("registering a node"))?;
        let (node, client) = (config.node()?, LedgerClient::connect(config.client()?).await?);
        self.consent.check(output)?; // the next step makes keys
        let node_keys = load_keys(&node, self.consent.dry_run)?;
        let book = client.stake_book().await?;
        let application = self.application(&node, &node_keys, &client, &book)?;
        application.check(&book)?;
        let (balances, calendar) = (client.balances().await?, client.calendar());
        let selection = stakes::next_selection(&book);
        let stake = stakes::stake_for_a_shard(&book);
        let stake = stake.map_or_else(|| "500WAL".to_owned(), |it| format!("{}WAL", coins(it)));
        let wallet = self.purse.flags();
        let offer = Offer { application, balances, selection, calendar, stake, wallet };
        if self.consent.dry_run {
            output.result(&offer.to_json(None), &offer.name(), &offer.to_text());
            return Ok(());
        }
        offer.application.affordable(balances.wal)?;
        if self.consent.given(&offer.to_text(), output).await? {
            let keys = (&node_keys.network, &node_keys.protocol);
            let done = client.register_node(&offer.application, keys.0, keys.1).await?;
            one_word(&done.receipt);
            output.result(
                &offer.to_json(Some(&done)),
                &done.node_id.to_string(),
                &offer.done(&done),
            );
        }
        Ok(())
    }

    fn application(
        &self,
        node: &NodeConfig,
        keys: &NodeKeys,
        client: &LedgerClient,
        book: &StakeBook,
    ) -> Result<Application> {
        let addresses = advertised(&self.address, &node.network);
        let bytes = addresses.iter().map(|address| network::address_to_bytes(address));
        let prices = client.view().position.market.prices;
        let registration = NodeRegistration {
            name: self.name.clone().or_else(|| node.name.clone()).unwrap_or_default(),
            multiaddrs: bytes.collect::<Result<_, _>>()?,
            bond: self.bond.unwrap_or_else(|| stakes::min_bond(book)),
            commission_bps: self.commission,
            asks: Asks {
                storage: self.storage_price.unwrap_or(prices.storage),
                write: self.write_price.unwrap_or(prices.write),
            },
            capacity: self.capacity.0,
            metadata: self.metadata.clone(),
        };
        Ok(Application {
            registration,
            addresses,
            peer_key: *network::peer_id(*keys.network.bytes()).key(),
            bls_public_key: keys.protocol.public_key().to_bytes().to_vec(),
        })
    }
}

/// The keys of a node. If there are none they are made, and kept unless nothing may change.
fn load_keys(config: &NodeConfig, dry_run: bool) -> Result<NodeKeys> {
    let load = |path: &Path, kind| match dry_run && !path.exists() {
        true => Secret::generate(kind),
        false => keys::load_or_create(path, kind),
    };
    let network = load(&config.network_key, KeyKind::Ed25519)?;
    let protocol = load(&config.protocol_key, KeyKind::Bls12381)?;
    let protocol = SecretKey::from_bytes(protocol.bytes()).ok_or_else(|| {
        let file = crate::terminal::path(&config.protocol_key);
        Error::new(Kind::Config, format!("{file} holds no BLS secret key"))
    })?;
    Ok(NodeKeys { network, protocol })
}

/// What will be done, and who pays it from what.
struct Offer {
    application: Application,
    balances: Balances,
    selection: Selection,
    calendar: Calendar,
    /// What gives it a shard, as a command takes it.
    stake: String,
    /// The wallet that was named, as a flag.
    wallet: String,
}

impl Offer {
    fn name(&self) -> String {
        words::label(&self.application.registration.name)
    }

    fn to_json(&self, done: Option<&RegisteredNode>) -> Value {
        let registration = &self.application.registration;
        json!({
            "dry_run": done.is_none(),
            "name": registration.name,
            "addresses": self.application.addresses,
            "bond": wal_json(registration.bond),
            "commission_bps": registration.commission_bps,
            "asks": {
                "storage_frost_per_mib_epoch": registration.asks.storage,
                "write_frost_per_mib": registration.asks.write,
            },
            "capacity": registration.capacity,
            "metadata": metadata(&registration.metadata),
            "next_selection": selection_json(&self.selection, &self.calendar),
            "balance_before": { "wal_frost": self.balances.wal, "sui_mist": self.balances.sui },
            "affordable": self.balances.wal >= registration.bond,
            "node_id": done.map(|done| done.node_id.to_string()),
            "gas_mist": done.map(|done| done.receipt.gas),
            "digest": done.map(|done| &done.receipt.digest),
            "only_said_by": done.and_then(|done| done.receipt.only_said_by.as_ref()),
        })
    }

    fn to_text(&self) -> String {
        let registration = &self.application.registration;
        let mut text = format!("register the node {}\n", self.name());
        for address in &self.application.addresses {
            text.push_str(&format!("  address     {address}\n"));
        }
        text.push_str(&format!(
            "  commission  {}\n  asks        {}\n  capacity    {}\n  cost        a bond of {}, back when the node has left, and \
             gas\n  wallet      {}\n",
            percent(registration.commission_bps.into()),
            words::prices(registration.asks.storage, registration.asks.write),
            size(registration.capacity),
            wal(registration.bond),
            wal(self.balances.wal),
        ));
        if let Err(error) = self.application.affordable(self.balances.wal) {
            text.push_str(&format!("  but         {}\n", error.message()));
        }
        text
    }

    fn done(&self, done: &RegisteredNode) -> String {
        let node = done.node_id.to_string();
        format!(
            "✓ Registered  {}\n  node  {node}\n  paid  a bond of {} + {} gas\n  next  it \
             serves once it has stake enough; anybody may give it, and about so much gives it a shard:\n          `haulout stake \
             add {node} {}`\n        {}\n        run it: `haulout node run`\n        watch it: `haulout node show{}`\n",
            self.name(),
            wal(self.application.registration.bond),
            sui(done.receipt.gas),
            self.stake,
            selection_text(&self.selection, &self.calendar),
            self.wallet,
        )
    }
}
