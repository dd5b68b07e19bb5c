//! How RocksDB is set up, and why.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, InfoLogger,
    LogLevel, Options, ReadOptions, WriteOptions,
};

use crate::keys;

/// What may differ from one kind of process to another. The default is for an edge host with
/// little memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RocksConfig {
    /// Bytes of one memtable. Default 8 MiB; at most two per column family, twice this in all.
    pub memtable_bytes: usize,
    /// Bytes of blocks kept in memory. Default 4 MiB.
    pub cache_bytes: usize,
    /// Files kept open. Default 64.
    pub open_files: i32,
    /// Bytes of the ballast file. Default 16 MiB.
    pub ballast_bytes: u64,
    /// Bytes that stay free on the file system for flushing and compacting what is committed:
    /// a commit that would leave less is refused. Default 24 MiB.
    pub keep_free_bytes: u64,
}

impl Default for RocksConfig {
    fn default() -> Self {
        Self {
            memtable_bytes: 8 << 20,
            cache_bytes: 4 << 20,
            open_files: 64,
            ballast_bytes: 16 << 20,
            keep_free_bytes: 24 << 20,
        }
    }
}

/// Checksums that the binding has no function for. `memtable_protection`: a bit that flips in memory
/// before it is flushed is noticed. `paranoid_file_checks`: what was flushed is read back once.
const PROTECTION: &str = "paranoid_file_checks=true;memtable_protection_bytes_per_key=8";

/// Write-ahead log at which memtables are flushed, so that recovery stays short.
const WAL_BYTES: u64 = 32 << 20;

fn protected() -> Result<Options, rocksdb::Error> {
    Options::default().get_options_from_string(PROTECTION)
}

/// Options of the database.
pub(crate) fn database(config: &RocksConfig, create: bool) -> Result<Options, rocksdb::Error> {
    let mut options = protected()?;
    options.create_if_missing(create);
    options.create_missing_column_families(create);
    // A synced record that went bad must be an alarm, not a shorter log. Excludes recycled WALs.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    options.set_max_total_wal_size(WAL_BYTES);
    options.set_db_write_buffer_size(2 * config.memtable_bytes);
    options.set_max_background_jobs(2);
    options.set_max_open_files(config.open_files);
    options.set_max_file_opening_threads(1);
    options.set_avoid_unnecessary_blocking_io(true);
    // One writer: nothing to coordinate.
    options.set_allow_concurrent_memtable_write(false);
    options.set_enable_write_thread_adaptive_yield(false);
    // Nothing happens when nothing happens.
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_skip_stats_update_on_db_open(true);
    options.set_manifest_preallocation_size(64 << 10);
    options.set_max_manifest_file_size(4 << 20);
    // No LOG files: what matters goes where our own logs go, and a reader changes no directory.
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, |level, message| match level {
        LogLevel::Error | LogLevel::Fatal => tracing::error!(message, "rocksdb"),
        _ => tracing::debug!(message, "rocksdb"),
    }));
    Ok(options)
}

/// The column families.
pub(crate) fn column_families(config: &RocksConfig) -> Result<Vec<ColumnFamilyDescriptor>, rocksdb::Error> {
    let cache = Cache::new_lru_cache(config.cache_bytes);
    // Runs are read in order, rows and heads one by one.
    let families = [(keys::META, 4 << 10, false), (keys::RUNS, 16 << 10, false), (keys::ROWS, 4 << 10, true)];
    let descriptor = |(name, block, filter): (&str, usize, bool)| {
        let mut options = protected()?;
        options.set_write_buffer_size(config.memtable_bytes);
        options.set_max_write_buffer_number(2);
        options.set_target_file_size_base(8 << 20);
        options.set_max_bytes_for_level_base(32 << 20);
        // Level 1 of zstd from the first flush on: fewer bytes on flash, and files of the first
        // level move down without being written again.
        options.set_compression_type(DBCompressionType::Zstd);
        options.set_compression_options(0, 1, 0, 0);
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&cache);
        table.set_block_size(block);
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        if filter {
            table.set_bloom_filter(10.0, false);
        }
        options.set_block_based_table_factory(&table);
        Ok(ColumnFamilyDescriptor::new(name, options))
    };
    families.into_iter().map(descriptor).collect()
}

/// Every write is synced.
pub(crate) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// Reading keys from `from` to before `end`.
pub(crate) fn range(from: &[u8], end: Option<&[u8]>) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(from);
    if let Some(end) = end {
        options.set_iterate_upper_bound(end);
    }
    options
}
