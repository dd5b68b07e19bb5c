//! Appends unique values to the log in the directory that is named, and prints each seq when it is
//! acknowledged. For the kill tests: `appender DIR SEED`.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use ledge_core::journal::{Draft, Journal};
use ledge_core::{Base, BaseReason, Digest};
use ledge_log::{Class, Writer, WriterConfig};
use ledge_log_rocksdb::{RocksConfig, RocksStore};
use ledge_schemas::kinds::up::Message;
use ledge_schemas::{Epoch, LogId, StreamId};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(seed)) = (args.next(), args.next()) else {
        return Err("usage: appender DIR SEED".into());
    };
    let stream: StreamId = "up/a".parse()?;
    let opened = RocksStore::open(Path::new(&dir), &RocksConfig::default())?;
    if let Some(regress) = opened.regress {
        return Err(regress.into());
    }
    let mut journal = Journal::open(opened.store)?;
    if journal.head(&stream).is_none() {
        let base = Base::begin(LogId([1; 16]), Epoch(1), Digest::default(), BaseReason::New);
        let mut txn = journal.begin(1);
        txn.begin(&stream, base, vec![])?;
        txn.commit()?;
    }
    let (handle, _thread) = Writer::start(journal, WriterConfig::default(), Arc::new(|| 1))?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?.block_on(async {
        let producers: Vec<_> = (0..8_u64)
            .map(|producer| {
                let (handle, stream, seed) = (handle.clone(), stream.clone(), seed.clone());
                tokio::spawn(async move {
                    for n in 0_u64.. {
                        let value = format!("{seed}/{producer}/{n}");
                        let message = Message { topic: "t".into(), payload: value.clone().into_bytes() };
                        let draft = Draft::new(value.clone(), &message)?;
                        let stream = stream.clone();
                        let at = handle.write(Class::State, move |txn| txn.append(&stream, draft)).await?;
                        writeln!(std::io::stdout(), "{} {value}", at.seq)?;
                    }
                    Ok::<_, Failure>(())
                })
            })
            .collect();
        for producer in producers {
            producer.await??;
        }
        Ok(())
    })
}
