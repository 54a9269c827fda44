//! Sends objects to archives at the end of a run, and counts them in its summary.

use super::context::RunContext;
use super::error::Error;
use super::event::RunEvent;
use super::summary::{DeliveryCounts, DeliveryFailure, RunSummary};
use crate::nightly::records::ledger::Ledger;
use crate::nightly::send::night::{Destinations, SendEvent, SendNight};
use std::time::Instant;

/// Sends what archives do not have yet.
pub(super) fn deliver(
    context: &RunContext<'_>,
    mut destinations: Destinations,
    ledger: &mut Ledger,
    summary: &mut RunSummary,
) -> Result<(), Error> {
    let since = Instant::now();
    let RunContext { settings, tables, options, notify, .. } = context;
    let names = settings.deliver.keys().cloned();
    summary.deliveries = names.map(|name| (name, DeliveryCounts::default())).collect();
    let mut night = SendNight {
        settings,
        tables,
        ledger,
        stop: options.stop,
        notify: &mut |event| notify(counted(event, summary)),
    };
    let sent = night.send(&mut destinations);
    summary.seconds.deliver = since.elapsed().as_secs_f64();
    Ok(sent?)
}

/// Counts an event, and returns it for the log.
fn counted(event: SendEvent, summary: &mut RunSummary) -> RunEvent {
    let RunSummary { deliveries, delivery_failures, .. } = summary;
    match event {
        SendEvent::Sent { destination, series, object, was_there } => {
            let counts = deliveries.entry(destination.clone()).or_default();
            *(if was_there { &mut counts.already_there } else { &mut counts.stored }) += 1;
            RunEvent::Delivered { series, destination, object, was_there }
        }
        SendEvent::NotSent { destination, series, object, cause } => {
            deliveries.entry(destination.clone()).or_default().failed += 1;
            delivery_failures.push(DeliveryFailure {
                destination: destination.clone(),
                id: series.clone(),
                object: object.clone(),
                cause: cause.clone(),
            });
            RunEvent::NotDelivered { series, destination, object, cause }
        }
        SendEvent::Left { destination, n } => {
            deliveries.entry(destination.clone()).or_default().left += n;
            RunEvent::NotSent { destination, n }
        }
    }
}
