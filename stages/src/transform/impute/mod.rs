//! The transform `impute`: missing values, filled step by step.
//!
//! An [`ImputeChain`](chain::ImputeChain) runs the steps one after the other on a [`KeyedBatch`](keyed_batch::KeyedBatch): a batch
//! with the order of each key's rows and the columns of the fields. A step is an [`Imputer`](imputer::Imputer):
//!
//! * [`gap_fill`] finds the [`gaps`] of each key and field and fills them by its [`gap_rule`]; where records of
//!   a key came late, each cell by its own time ([`late_gaps`]). It holds rows back ([`held_rows`]) that later records decide.
//! * [`fitted_median`], [`window_median`], [`expanding_median`] and [`constant_fill`] hold nothing. The fitted medians come from
//!   a pass over the whole input ([`median_fit`]).

mod chain;
mod config;
mod constant_fill;
mod damaged;
mod entry_name;
mod expanding_median;
mod field_binder;
mod fill_policy;
mod first_held;
mod fitted_median;
mod gap_fill;
mod gap_rule;
mod gap_state;
mod gaps;
mod held_rows;
mod imputer;
mod joined_rows;
mod key_id;
mod key_order;
mod key_table;
mod keyed_batch;
mod late_gaps;
mod median_fit;
mod middle;
mod ordered;
mod ring;
mod row_set;
mod running_median;
mod same_times;
mod sampling;
mod saved_entries;
mod saved_key;
mod saved_numbers;
mod saved_times;
mod step;
#[cfg(test)]
mod tests;
mod value_pieces;
mod whole_number;
mod window;
mod window_median;
