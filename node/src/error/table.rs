//! The table of error kinds: names, exit codes, pages.
//!
//! Promises: codes never change their meaning. The enum and the pages come from one list, so a
//! kind without a page cannot exist.
//! Does not: hold anything that depends on the place of failure.

/// What `haulout help errors KIND` says.
#[derive(Debug)]
pub struct Page {
    /// The kind this page explains.
    pub kind: Kind,
    /// Its stable name.
    pub name: &'static str,
    /// Its exit code.
    pub code: u8,
    /// Whether trying again, unchanged, can help.
    pub retryable: bool,
    /// What it means, in one or two sentences.
    pub meaning: &'static str,
    /// What to do next when the place of failure has nothing better to say.
    pub advice: &'static str,
}

impl Kind {
    /// The page that explains this kind.
    pub fn page(self) -> &'static Page {
        TABLE.iter().find(|page| page.kind == self).unwrap_or(&TABLE[0])
    }

    /// The stable name, upper case.
    pub fn name(self) -> &'static str {
        self.page().name
    }

    /// The exit code of a process that ends with this error.
    pub fn exit_code(self) -> u8 {
        self.page().code
    }

    /// The kind of this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|page| page.name.eq_ignore_ascii_case(name)).map(|page| page.kind)
    }
}

macro_rules! pages {
    ($($kind:ident $name:literal $code:literal $retryable:literal $meaning:literal => $advice:literal;)*) => {
        /// The kind of a failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $meaning] $kind),*
        }

        /// One page for each kind, in order of exit codes.
        pub static TABLE: &[Page] = &[$(Page {
            kind: Kind::$kind,
            name: $name,
            code: $code,
            retryable: $retryable,
            meaning: $meaning,
            advice: $advice,
        }),*];

        #[cfg(test)]
        pub(super) const ALL: &[Kind] = &[$(Kind::$kind),*];
    };
}

pages! {
    Internal "INTERNAL" 1 false
        "Something failed that we did not foresee, most likely a fault of ours."
        => "run again with -vv and report what it prints";
    Usage "USAGE" 2 false
        "The command line cannot be understood: an unknown flag, a missing or a malformed value."
        => "see `haulout help`, or --help after the command";
    File "FILE" 2 false
        "A file or folder named by you cannot be opened, read or written."
        => "check the path, its type and its permissions";
    Config "CONFIG" 3 false
        "The configuration is missing, malformed or incomplete. The message names the file, the \
         line and the key."
        => "compare with `haulout config`, which prints a commented example";
    NotFound "NOT_FOUND" 4 false
        "The ledger knows no certified blob with this id or no object with this one, or the wallet owns none of it."
        => "check the id and the context; if it was just stored, see `haulout status ID`";
    NoNetwork "NO_NETWORK" 5 true
        "No peer of the network could be reached."
        => "check network.bootstrap and your connection, then try again";
    LedgerUnreachable "LEDGER_UNREACHABLE" 5 true
        "The ledger (Sui RPC) does not answer."
        => "check chain.rpc, and that the ledger runs; on a devnet, `devnet status` says so, and `devnet restart ledger` \
            starts it again";
    Timeout "TIMEOUT" 6 true
        "An answer did not come in time: from the ledger after a transaction was sent, or from \
         the network at the start (client.timeout)."
        => "try again: a transaction that went through is found and not paid twice";
    Verification "VERIFICATION" 7 false
        "What arrived does not match its proof, its signature or its id. Nothing wrong was \
         delivered. This code is used for nothing else."
        => "try again through other peers; if it repeats, report the blob id and the log";
    Permission "PERMISSION" 8 false
        "Access was refused: by file modes, by a key, or by a rule on the ledger."
        => "check who owns the file or the object, and its mode";
    Funds "FUNDS" 9 false
        "The wallet holds too few coins for storage or for gas."
        => "send WAL and SUI to the wallet's address (`haulout wallet address`); on a devnet: `devnet faucet $(haulout -q wallet address)`";
    Quorum "QUORUM" 10 true
        "Fewer shards than a quorum confirmed the write, so it is not certified. What nodes \
         already stored is kept for a retry."
        => "try again when the named nodes are back; nothing is paid twice for the same blob";
    Unavailable "UNAVAILABLE" 10 true
        "The blob is certified, but too few shards answer to rebuild it now, or too few nodes hold their parts of it still."
        => "try again when the named nodes are back; `haulout status ID` says what is held";
    Chain "CHAIN" 11 false
        "The ledger executed the transaction and refused it."
        => "the message carries the ledger's reason; check wallet and context";
    Expired "EXPIRED" 12 false
        "The blob's storage period has ended, and nodes may have deleted it; or a ticket's time is over."
        => "store it again";
    Full "FULL" 13 true
        "A disk or a quota is full. Nothing that was acknowledged is lost."
        => "free space, then try again";
    Locked "LOCKED" 14 true
        "Another process uses this data directory."
        => "stop the named process first, or use another data directory";
    PortInUse "PORT_IN_USE" 14 true
        "Another program listens on the port."
        => "stop it, or choose another port (0 takes any free one)";
    Version "VERSION" 15 false
        "The stored data, or the other side, is of a version this program does not speak."
        => "use the program version that wrote the data, or upgrade";
    Damaged "DAMAGED" 16 false
        "What this machine stored is damaged or missing on its disk, or the disk fails. Nothing wrong was delivered; what \
         was lost is not fetched again by itself."
        => "check the disk (`dmesg` names what failed), and if there is a copy of node.data_dir, put it back; else leave it as \
            it is: no node can fetch yet what it lost, and the network serves without it while enough others are up";
    Degraded "DEGRADED" 17 true
        "A devnet or a node runs, and not all of it is well: a process does not run or does not answer, a node says that \
         something is wrong with it, or reads or writes do not work."
        => "`devnet status`, and of one node `haulout node status`, names what it is, the cause and the next step";
    Interrupted "INTERRUPTED" 130 true
        "Stopped by Ctrl-C (SIGINT)."
        => "run it again; nothing is paid twice for the same blob";
    Pipe "PIPE" 141 false
        "The reader of stdout went away, as `head` does when it has enough. Nothing is said of it; \
         141 is what a shell reports for `cat`."
        => "nothing, if that was meant; else write to a file (`> FILE`)";
    Terminated "TERMINATED" 143 true
        "Stopped by SIGTERM."
        => "run it again; nothing is paid twice for the same blob";
}
