//! Times the kernels: `cargo bench -p gotthard-benches --bench kernels -- encapsulate/aes256gcm16`.
//!
//! The throughput column counts packets, lookups, messages or handshakes: its inverse is the time of one.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use core::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gotthard_benches::kernels;

fn time(c: &mut Criterion) {
    for kernel in kernels::all() {
        let mut group = c.benchmark_group(kernel.group());
        group.throughput(Throughput::Elements(kernel.units() as u64));
        group.bench_function(kernel.case(), |b| {
            b.iter_batched_ref(|| kernel.prepare(), |pass| pass(), BatchSize::NumIterations(INPUTS));
        });
        group.finish();
    }
}

/// Inputs that exist at a time. A worker goes round a few buffers that stay within its L2 cache, so do these.
const INPUTS: u64 = 4;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = time
}
criterion_main!(benches);
