//! The salons that `--demo` brings along, and those that the load tester books at.

use codeccloud_actors::ids::{StaffId, TenantId};
use codeccloud_actors::money::Currency;
use codeccloud_actors::ports::Ids;
use codeccloud_actors::stage::Stage;

use crate::postgres::tenants::{NewTenant, NewTenantService, NewTenantStaff};

pub const SALON: &str = "salon-aare";

/// Monday to Saturday, nine to six.
fn salon_hours() -> Vec<(i16, i32, i32)> {
    (1..=6).map(|weekday| (weekday, 9 * 60, 18 * 60)).collect()
}

pub fn salons(ids: &dyn Ids, stage: Stage) -> Vec<NewTenant> {
    let aare = salon(
        ids,
        stage,
        SALON,
        "Salon Aare",
        "de-CH",
        &[("Haarschnitt", 45, 8_500, 0), ("Färben", 90, 14_500, 15), ("Bartpflege", 30, 4_500, 0)],
        &[("Lea", "#b5543c"), ("Noah", "#2f6f8f"), ("Mia", "#5b7f3a"), ("Elias", "#7a5aa6")],
    );
    let leman = salon(
        ids,
        stage,
        "atelier-leman",
        "Atelier Léman",
        "fr-CH",
        &[("Coupe", 45, 9_000, 0), ("Coloration", 90, 15_500, 15)],
        &[("Chloé", "#a33b5c"), ("Luca", "#3b7f7a")],
    );
    vec![aare, leman]
}

/// For load tests: many people, no hours on record, so that every slot is theirs to give.
pub fn load_salon(ids: &dyn Ids, stage: Stage, number: u32, staff: u32) -> NewTenant {
    let mut tenant = salon(
        ids,
        stage,
        // A salon of another size or in another stage is another salon.
        &format!("load-{number}-{staff}-{}", stage.as_str()),
        &format!("Load {number}"),
        "de-CH",
        &[("Cut", 30, 6_000, 0), ("Colour", 60, 12_000, 0)],
        &[],
    );
    tenant.staff = (1..=staff)
        .map(|person| NewTenantStaff {
            id: StaffId(ids.uuid()),
            display_name: format!("Person {person}"),
            color: "#777777".to_owned(),
            hours: Vec::new(),
        })
        .collect();
    tenant
}

fn salon(
    ids: &dyn Ids,
    stage: Stage,
    slug: &str,
    name: &str,
    locale: &str,
    services: &[(&str, i32, i32, i32)],
    staff: &[(&str, &str)],
) -> NewTenant {
    let service =
        |&(name, duration_minutes, price_cents, buffer_after_minutes): &(&str, i32, i32, i32)| NewTenantService {
            id: ids.uuid(),
            name: name.to_owned(),
            duration_minutes,
            price_cents,
            currency: Currency::Chf,
            buffer_after_minutes,
        };
    let member = |&(name, color): &(&str, &str)| NewTenantStaff {
        id: StaffId(ids.uuid()),
        display_name: name.to_owned(),
        color: color.to_owned(),
        hours: salon_hours(),
    };
    NewTenant {
        id: TenantId(ids.uuid()),
        slug: slug.to_owned(),
        name: name.to_owned(),
        locale: locale.to_owned(),
        time_zone: "Europe/Zurich".to_owned(),
        stage,
        services: services.iter().map(service).collect(),
        staff: staff.iter().map(member).collect(),
    }
}
