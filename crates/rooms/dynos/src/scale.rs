//! Changing the formation.

use std::collections::BTreeMap;

use store::apps::App;
use store::formation::Formation;
use vocabulary::{DynoSize, ProcessType, ProcessTypes};

use crate::{Dynos, Error, lines};

/// The most dynos of one type (Heroku Dev Center, "Limits": 100 of the standard sizes).
const MOST: u32 = 100;

/// A quantity as the API takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// So many.
    Exactly(u32),
    /// `"+1"`, `"-1"`.
    By(i64),
}

/// What to change of one process type.
#[derive(Debug, Clone)]
pub struct Scale {
    /// Which.
    pub process_type: ProcessType,
    /// How many; as many as before if not given.
    pub quantity: Option<Quantity>,
    /// Of which size; the same as before if not given.
    pub size: Option<DynoSize>,
}

impl Dynos {
    /// Changes the formation, all or nothing. A type the current slug does not have is `Error::NotFound("process type")`.
    /// Writes `app[api]: Scaled to web@1:Standard-1X worker@0:… by user EMAIL`.
    pub async fn scale(&self, app: &App, updates: &[Scale], email: &str) -> Result<Vec<Formation>, Error> {
        let types = self.process_types(app).await?;
        let mut write = self.write_by(email).await?;
        let mut before: BTreeMap<ProcessType, (u32, DynoSize)> = BTreeMap::new();
        for row in store::formation::list_in(&mut write, app.id).await? {
            before.insert(row.process_type, (row.quantity, row.size));
        }
        let mut changed = Vec::with_capacity(updates.len());
        for update in updates {
            if types.command(&update.process_type).is_none() {
                return Err(Error::NotFound("process type"));
            }
            let (quantity, size) = wanted(update, before.get(&update.process_type).copied())?;
            before.insert(update.process_type.clone(), (quantity, size));
            changed.push(store::formation::set(&mut write, app.id, &update.process_type, quantity, size).await?);
        }
        write.commit().await?;
        self.say_api(app.id, lines::scaled(&changed, email));
        self.wakers.dynos.wake();
        Ok(changed)
    }

    async fn process_types(&self, app: &App) -> Result<ProcessTypes, Error> {
        let current = store::releases::current(&self.store, app.id).await?;
        let slug = match current.and_then(|release| release.slug_id) {
            Some(id) => store::slugs::get(&self.store, id).await?,
            None => None,
        };
        Ok(slug.map(|slug| slug.process_types).unwrap_or_default())
    }
}

/// The quantity and size after an update.
fn wanted(update: &Scale, before: Option<(u32, DynoSize)>) -> Result<(u32, DynoSize), Error> {
    let (quantity, size) = before.unwrap_or((0, DynoSize::Standard1X));
    let name = &update.process_type;
    let quantity = match update.quantity {
        None => quantity,
        Some(Quantity::Exactly(quantity)) => quantity,
        Some(Quantity::By(by)) => u32::try_from(i64::from(quantity).saturating_add(by).max(0)).unwrap_or(u32::MAX),
    };
    if quantity > MOST {
        return Err(Error::Invalid(format!("Cannot run more than {MOST} dynos of the process type {name}.")));
    }
    if update.process_type.is_release() && quantity > 0 {
        return Err(Error::Invalid("The release process type cannot be scaled.".to_owned()));
    }
    Ok((quantity, update.size.unwrap_or(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(quantity: Option<Quantity>, before: Option<(u32, DynoSize)>) -> Option<u32> {
        let update = Scale { process_type: ProcessType::web(), quantity, size: None };
        wanted(&update, before).ok().map(|(quantity, _)| quantity)
    }

    #[test]
    fn quantities_are_absolute_or_relative_and_bounded() {
        let two = Some((2, DynoSize::Standard1X));
        assert_eq!(after(None, None), Some(0));
        assert_eq!(after(None, two), Some(2));
        assert_eq!(after(Some(Quantity::Exactly(5)), two), Some(5));
        assert_eq!(after(Some(Quantity::By(1)), two), Some(3));
        assert_eq!(after(Some(Quantity::By(-3)), two), Some(0));
        assert_eq!(after(Some(Quantity::Exactly(100)), two), Some(100));
        assert_eq!(after(Some(Quantity::Exactly(101)), two), None);
        assert_eq!(after(Some(Quantity::By(i64::MAX)), two), None);
    }

    #[test]
    fn the_release_phase_has_a_size_but_no_quantity() {
        let size = Some(DynoSize::Standard2X);
        let update = |quantity| Scale { process_type: ProcessType::release(), quantity, size };
        assert_eq!(wanted(&update(None), None).unwrap(), (0, DynoSize::Standard2X));
        assert!(wanted(&update(Some(Quantity::Exactly(1))), None).is_err());
    }
}
