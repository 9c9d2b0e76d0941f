//! Notifications on their way out of the application: an attempt that is owed has its action.

use crate::Kind;
use crate::index::Index;
use crate::reading::Delivery;
use crate::report::{Findings, Mismatch};

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    for delivery in index.reading.deliveries.iter().flatten() {
        let judged = index.is_still(delivery.id) && index.is_settled(delivery.updated_at);
        if judged
            && delivery.is_owed()
            && !has_action(index, delivery)
            && !found.is_lost("notification", delivery.id)
        {
            found.push(Mismatch::of(
                Kind::ActionMissing,
                format!("delivery {}", delivery.id),
                "an attempt is owed, and no action is on its way",
                "an action in notification.work",
                format!(
                    "set it to waiting, due now (update delivery set status = 'waiting', next_attempt_at = now() where id = \
                     '{}'): the service goes on with it",
                    delivery.id
                ),
            ));
        }
    }
}

fn has_action(index: &Index<'_>, delivery: &Delivery) -> bool {
    let rows = index.work_on_key("notification", delivery.id);
    rows.iter().any(|work| work.kind == "action" && work.excuses())
}
