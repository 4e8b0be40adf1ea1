//! What each request asks, and its exact bytes.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use codeccloud_actors::ids::BookingId;
use codeccloud_actors::time::Slot;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use serde::Serialize;
use uuid::Uuid;

use super::args::LoadArgs;
use super::cast::{Cast, Service, Tenant};
use super::plan::{Aim, Horizon, HotSlots, Slots};
use super::random::Random;

/// Small enough that runs meet the same customers again, as a salon does.
const CUSTOMERS_PER_TENANT: usize = 1_000;

/// How reads divide; the rest list one person's day.
const AVAILABILITY_SHARE: f64 = 0.6;
const GET_SHARE: f64 = 0.25;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const FIRST_NAMES: [&str; 8] = ["Anna", "Luca", "Mia", "Noah", "Lea", "Elias", "Nina", "Tim"];
const LAST_NAMES: [&str; 8] = ["Meier", "Rochat", "Bianchi", "Keller", "Favre", "Frei", "Huber", "Rossi"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A booking of a slot that should be free.
    Book,
    /// A booking of one of the few slots that many ask for.
    BookPopular,
    Availability,
    Get,
    List,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Book, Kind::BookPopular, Kind::Availability, Kind::Get, Kind::List];

    pub fn is_booking(self) -> bool {
        match self {
            Kind::Book | Kind::BookPopular => true,
            Kind::Availability | Kind::Get | Kind::List => false,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Book => "book",
            Kind::BookPopular => "book popular",
            Kind::Availability => "availability",
            Kind::Get => "get",
            Kind::List => "list",
        }
    }
}

/// A booking that the server said exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    pub booking: BookingId,
    pub aim: Aim,
}

/// A request that can be sent any number of times.
pub struct Planned {
    pub kind: Kind,
    pub aim: Aim,
    uri: Uri,
    /// Key and body of a booking.
    write: Option<(HeaderValue, Bytes)>,
}

impl Planned {
    pub fn request(&self, cast: &Cast) -> Request<Full<Bytes>> {
        let (key, body) = self.write.clone().unzip();
        let mut request = Request::new(Full::new(body.unwrap_or_default()));
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = cast.tenant_of(self.aim.person).head.clone();
        if let Some(key) = key {
            *request.method_mut() = Method::POST;
            request.headers_mut().insert(IDEMPOTENCY_KEY, key);
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request
    }
}

/// Draws requests in the mix that was asked for. One for all workers, so that no two are handed the same slot.
pub struct Planner {
    pub cast: Arc<Cast>,
    pub horizon: Horizon,
    slots: Mutex<Slots>,
    hot: Vec<HotSlots>,
    hot_share: f64,
    reads: f64,
    seed: u64,
    bookings_uri: Uri,
}

impl Planner {
    /// `slots` already knows what is booked.
    pub fn new(args: &LoadArgs, cast: Arc<Cast>, horizon: Horizon, mut slots: Slots) -> Planner {
        let first_of = |tenant| cast.people.iter().position(|person| person.tenant == tenant);
        let popular = |tenant: usize| HotSlots {
            person: first_of(tenant).expect("every tenant has staff"),
            span: popular_service(&cast, first_of(tenant).expect("every tenant has staff")).span,
        };
        let hot: Vec<HotSlots> = (0..cast.tenants.len()).map(popular).collect();
        if args.hot_share > 0.0 {
            hot.iter().for_each(|hot| slots.reserve_hot_days(hot.person));
        }
        Planner {
            horizon,
            slots: Mutex::new(slots),
            hot,
            hot_share: args.hot_share,
            reads: args.reads,
            seed: args.seed,
            bookings_uri: uri(format!("{}/v1/bookings", cast.target.base)),
            cast,
        }
    }

    /// The next request of the worker that acknowledged `mine`; `None` when a booking is due and no slot is left.
    pub fn next(&self, random: &mut Random, mine: &[Acknowledged], key: Uuid) -> Option<Planned> {
        if random.chance(self.reads) {
            return Some(self.read(random, mine));
        }
        if random.chance(self.hot_share) {
            let hot = self.hot[random.below(self.hot.len())];
            let (aim, service) = (hot.aim(self.horizon, random), popular_service(&self.cast, hot.person));
            return Some(self.book(Kind::BookPopular, aim, service, random, key));
        }
        let mut service = None;
        let aim = self
            .slots
            .lock()
            .expect("no panic under the lock")
            .take(random, |random, person| service.insert(self.cast.draw_service(person, random)).span)?;
        Some(self.book(Kind::Book, aim, service.expect("drawn with the slot"), random, key))
    }

    pub fn slots_handed_out(&self) -> u64 {
        self.slots.lock().expect("no panic under the lock").handed_out()
    }

    fn book(&self, kind: Kind, aim: Aim, service: &Service, random: &mut Random, key: Uuid) -> Planned {
        let mut body = String::with_capacity(640);
        // Written by hand because it is the hot path; nothing in it needs escaping.
        let Slot { start, end } = aim.slot;
        let (service_id, staff, price) = (service.id, self.cast.people[aim.person].staff, service.price.get());
        write!(
            body,
            r#"{{"serviceId":"{service_id}","staffId":"{staff}","slotStart":"{start}","slotEnd":"{end}","price":{price},"customer":"#
        )
        .and_then(|()| self.write_customer(&mut body, self.cast.tenant_of(aim.person), random))
        .and_then(|()| body.write_char('}'))
        .expect("a String takes all that is written");
        let key = HeaderValue::try_from(key.to_string()).expect("a UUID is printable ASCII");
        Planned { kind, aim, uri: self.bookings_uri.clone(), write: Some((key, body.into())) }
    }

    fn write_customer(&self, body: &mut String, tenant: &Tenant, random: &mut Random) -> std::fmt::Result {
        let index = random.below(CUSTOMERS_PER_TENANT);
        let (high, low) = tenant.id.0.as_u64_pair();
        let mut customer = Random::new(self.seed ^ high ^ low, index as u64);
        let id = customer.uuid();
        let (first, last) = (FIRST_NAMES[customer.below(8)], LAST_NAMES[customer.below(8)]);
        write!(
            body,
            r#"{{"id":"{id}","email":"{first}.{last}.{index}@example.com","firstName":"{first}","lastName":"{last}"}}"#
        )
    }

    fn read(&self, random: &mut Random, mine: &[Acknowledged]) -> Planned {
        let draw = random.unit();
        let person = random.below(self.cast.people.len());
        let day = self.horizon.day(random.below(self.horizon.days));
        let (base, staff) = (&self.cast.target.base, self.cast.people[person].staff);
        let window = format!("from={}&to={}&staffId={staff}", day.start, day.end);
        let (kind, aim, path) = if draw < GET_SHARE && !mine.is_empty() {
            let Acknowledged { booking, aim } = mine[random.below(mine.len())];
            (Kind::Get, aim, format!("{base}/v1/bookings/{booking}"))
        } else if draw < GET_SHARE + AVAILABILITY_SHARE {
            let service = self.cast.draw_service(person, random).id;
            let path = format!("{base}/v1/bookings/availability?serviceId={service}&{window}");
            (Kind::Availability, Aim { person, slot: day }, path)
        } else {
            (Kind::List, Aim { person, slot: day }, format!("{base}/v1/bookings?{window}"))
        };
        Planned { kind, aim, uri: uri(path), write: None }
    }
}

/// What everybody wants of the popular person.
fn popular_service(cast: &Cast, person: usize) -> &Service {
    &cast.tenant_of(person).services[cast.people[person].services[0]]
}

fn uri(path: String) -> Uri {
    Uri::try_from(path).expect("made of a parsed base, ids and times")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::args::tests::parsed;
    use crate::load::cast::Person;
    use crate::load::client::Target;
    use crate::load::plan::Span;
    use codeccloud_actors::ids::{ServiceId, StaffId, TenantId};

    fn planner(words: &str) -> Planner {
        let service = |n: u64, minutes| Service {
            id: ServiceId(Uuid::from_u64_pair(1, n)),
            span: Span { before: 0, minutes, after: 0 },
            price: serde_json::from_str(r#"{"currency":"CHF","amount":8500}"#).expect("JSON"),
        };
        let tenant = Tenant {
            id: TenantId(Uuid::from_u64_pair(2, 0)),
            head: hyper::HeaderMap::new(),
            services: vec![service(0, 30), service(1, 60)],
            buffer_minutes_max: 0,
        };
        let person = |n| Person { tenant: 0, staff: StaffId(Uuid::from_u64_pair(3, n)), services: vec![0, 1] };
        let target = Arc::new(Target::parse("http://host/base").expect("valid"));
        let cast = Arc::new(Cast { target, tenants: vec![tenant], people: vec![person(0), person(1)] });
        let now = "2030-01-01T12:00:00Z".parse().expect("an instant");
        let args = parsed(words).expect("valid");
        let horizon = Horizon::from_tomorrow(now, 30, args.hours);
        let slots = Slots::new(horizon, cast.people.len());
        Planner::new(&args, cast, horizon, slots)
    }

    fn draw(planner: &Planner, count: usize) -> Vec<Planned> {
        let (mut random, key) = (Random::new(9, 0), Uuid::from_u64_pair(4, 0));
        let mine = [Acknowledged {
            booking: BookingId(Uuid::from_u64_pair(5, 0)),
            aim: Aim { person: 0, slot: planner.horizon.day(0) },
        }];
        (0..count).map(|_| planner.next(&mut random, &mine, key).expect("slots are left")).collect()
    }

    #[test]
    fn a_booking_carries_what_the_contract_asks_for() {
        let planner = planner("--max");
        let planned = draw(&planner, 1).remove(0);
        let request = planned.request(&planner.cast);
        assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/base/v1/bookings"));
        assert_eq!(request.headers()["idempotency-key"], Uuid::from_u64_pair(4, 0).to_string());
        let (_, body) = planned.write.expect("a POST");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["price"], serde_json::json!({ "currency": "CHF", "amount": 8500 }));
        assert_eq!(body["slotStart"], planned.aim.slot.start.to_string());
        let minutes = if body["serviceId"] == Uuid::from_u64_pair(1, 0).to_string() { 30 } else { 60 };
        assert_eq!(planned.aim.slot.minutes(), minutes);
        for field in ["id", "email", "firstName", "lastName"] {
            assert!(body["customer"][field].as_str().is_some_and(|text| !text.is_empty()), "no {field}");
        }
    }

    #[test]
    fn the_mix_is_as_asked_and_repeats_with_its_seed() {
        let mixed = planner("--max --reads 0.5 --hot-share 0.5 --seed 4");
        let drawn = draw(&mixed, 800);
        let of = |kind| drawn.iter().filter(|planned| planned.kind == kind).count();
        let hot_days = mixed.horizon.day(0).start..mixed.horizon.day(2).end;
        let hot: Vec<&Planned> = drawn.iter().filter(|planned| planned.kind == Kind::BookPopular).collect();
        let bookings = of(Kind::Book) + hot.len();
        assert!((340..460).contains(&bookings), "{bookings} bookings");
        assert!((150..250).contains(&hot.len()), "{} popular bookings", hot.len());
        assert!((195..285).contains(&of(Kind::Availability)), "{} availability", of(Kind::Availability));
        assert!(of(Kind::Get) > 60 && of(Kind::List) > 30);
        assert!(hot.iter().all(|planned| planned.aim.person == 0 && hot_days.contains(&planned.aim.slot.start)));
        let again = draw(&planner("--max --reads 0.5 --hot-share 0.5 --seed 4"), 800);
        assert!(drawn.iter().zip(&again).all(|(one, other)| one.uri == other.uri && one.write == other.write));
    }
}
