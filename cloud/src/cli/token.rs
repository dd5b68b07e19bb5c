//! `ledge-cloud token`.

use std::time::Duration;

use ledge_process::{Exit, HumanDuration};
use serde::Deserialize;

use super::DirArg;
use super::offline::{CommandError, Stopped, ask};
use crate::operations::{TokenRequest, new_token, record_token};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, alone on stdout
    #[command(after_help = "\
Examples:
  ledge-cloud token create --data-dir D                       any new name, once, within a day
  ledge-cloud token create --data-dir D --match 'shop-*' --uses 200 --ttl 7d
  ledge-cloud token create --data-dir D --node oslo --rejoin  a new machine takes the name oslo")]
    Create(CreateArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    dir: DirArg,
    /// Only this node may join by it
    #[arg(long, value_name = "NAME", conflicts_with = "pattern")]
    node: Option<String>,
    /// Only nodes whose names match may join by it (* any characters, ? one)
    #[arg(long = "match", value_name = "GLOB")]
    pattern: Option<String>,
    /// How many joins
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// It may replace the certificate of a node that has one, which is revoked
    #[arg(long)]
    rejoin: bool,
    /// How long it is valid, for example 30m, 24h, 7d
    #[arg(long, default_value = "24h")]
    ttl: HumanDuration,
}

#[derive(Deserialize)]
struct Made {
    token: String,
}

pub(super) async fn run(Command::Create(args): Command) -> Result<Exit, CommandError> {
    let HumanDuration(ttl) = args.ttl;
    let request = TokenRequest {
        node: args.node,
        pattern: args.pattern,
        uses: args.uses,
        rejoin: args.rejoin,
        ttl_seconds: ttl.max(Duration::ZERO).as_secs(),
    };
    let token = match ask::<Made>(&args.dir.data_dir, "token-create", &request).await? {
        Some(made) => made.token,
        None => {
            let mut stopped = Stopped::open(&args.dir.data_dir)?;
            let (token, record) = new_token(&stopped.authority, request)?;
            stopped.write(|txn| record_token(txn, &record))?;
            token.to_string()
        }
    };
    println!("{token}");
    Ok(Exit::Done)
}
