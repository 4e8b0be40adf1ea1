//! The whole route table. Whoever is not named in an entry doesn't pass.
//!
//! Routes of one path stand together, and a fixed path before the variable one that would also match it.

use actix_web::web::to;

use super::audit::{self, AuditEntry, AuditQuery};
use super::bookings::{self, Availability, AvailabilityQuery, Booking, BookingChanged, BookingQuery};
use super::bookings::{CancelBooking, CreateBooking, RescheduleBooking};
use super::customers::{self, ChangeCustomer, Customer};
use super::figures::{self, Dashboard, DashboardQuery, InventoryItem, InventoryQuery, Revenue, RevenueQuery};
use super::health::{self, Health};
use super::loyalty::{self, AdjustPoints, HistoryQuery, LoyaltyAccount, LoyaltyEntry, PointsChanged, RedeemPoints};
use super::paging::Listing;
use super::problem::Slug;
use super::products::{self, ChangeProduct, CreateProduct, Product, ProductQuery};
use super::route::{ANYONE, Access, MANAGERS, MEMBERS, Route, SALON, SALON_AND_CUSTOMER, Verb, Versions};
use super::route::{created, ok, schema, text};
use super::services::{self, ChangeService, CreateService, Service, ServiceQuery};
use super::staff::{self, ChangeStaff, CreateStaff, ExceptionHours, Invitation, Invited, NewTimeOff, StaffMember};
use super::staff::{StaffQuery, TimeOff, UtilisationDay, UtilisationQuery, WorkingHours};
use super::stock::{self, AdjustStock, ConsumeStock, Movement, MovementQuery, ReceiveStock, ReleaseStock};
use super::stock::{ReserveStock, Stock, StockChanged, StockConsumed, StockReleased, StockReserved};
use super::webhooks::{self, ChangeWebhook, CreateWebhook, DeliveryQuery, Webhook, WebhookDelivery, WebhookSecret};
use super::{docs, openapi};

const NOT_FOUND_OR_CONFLICT: &[Slug] = &[Slug::NotFound, Slug::Conflict];
const CONFLICT: &[Slug] = &[Slug::Conflict];
const NOT_FOUND: &[Slug] = &[Slug::NotFound];

/// A bare list says there where its next page is, and a creation where its outcome is.
const NEXT_PAGE: &[&str] = &["Link"];
const PLACE: &[&str] = &["Location"];

pub static ROUTES: &[Route] = &[
    Route {
        summary: "Slots that can be booked",
        query: Some(schema::<AvailabilityQuery>),
        success: ok::<Availability>(),
        further_problems: NOT_FOUND,
        rate_limited: true,
        ..Route::new(Verb::Get, "/v1/bookings/availability", ANYONE, || to(bookings::availability))
    },
    Route {
        summary: "Search bookings",
        query: Some(schema::<BookingQuery>),
        success: ok::<Listing<Booking<'static>>>(),
        ..Route::new(Verb::Get, "/v1/bookings/search", SALON_AND_CUSTOMER, || to(bookings::search))
    },
    Route {
        summary: "List bookings",
        query: Some(schema::<BookingQuery>),
        success: ok::<Vec<Booking<'static>>>(),
        further_headers: NEXT_PAGE,
        ..Route::new(Verb::Get, "/v1/bookings", SALON_AND_CUSTOMER, || to(bookings::list))
    },
    Route {
        summary: "Book a slot; a customer only for themselves",
        body: Some(schema::<CreateBooking>),
        success: created::<BookingChanged<'static>>(),
        versions: Versions::Sent,
        further_problems: NOT_FOUND_OR_CONFLICT,
        rate_limited: true,
        further_headers: PLACE,
        ..Route::new(Verb::Post, "/v1/bookings", ANYONE, || to(bookings::create))
    },
    Route {
        summary: "One booking",
        success: ok::<Booking<'static>>(),
        versions: Versions::Sent,
        ..Route::new(Verb::Get, "/v1/bookings/{bookingId}", SALON_AND_CUSTOMER, || to(bookings::get))
    },
    Route {
        summary: "Move a booking to another slot; it keeps its id",
        body: Some(schema::<RescheduleBooking>),
        success: ok::<BookingChanged<'static>>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        rate_limited: true,
        ..Route::new(Verb::Post, "/v1/bookings/{bookingId}/reschedule", SALON_AND_CUSTOMER, || to(bookings::reschedule))
    },
    Route {
        summary: "Cancel a booking",
        body: Some(schema::<CancelBooking>),
        success: ok::<BookingChanged<'static>>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        rate_limited: true,
        ..Route::new(Verb::Post, "/v1/bookings/{bookingId}/cancel", SALON_AND_CUSTOMER, || to(bookings::cancel))
    },
    Route {
        summary: "Confirm a booking",
        success: ok::<BookingChanged<'static>>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/bookings/{bookingId}/confirm", SALON, || to(bookings::confirm))
    },
    Route {
        summary: "The customer has arrived",
        success: ok::<BookingChanged<'static>>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/bookings/{bookingId}/check-in", MEMBERS, || to(bookings::check_in))
    },
    Route {
        summary: "The work is done; the customer earns points",
        success: ok::<BookingChanged<'static>>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/bookings/{bookingId}/complete", MEMBERS, || to(bookings::complete))
    },
    Route {
        summary: "The customer did not come",
        success: ok::<BookingChanged<'static>>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/bookings/{bookingId}/no-show", MEMBERS, || to(bookings::mark_no_show))
    },
    Route {
        summary: "List services",
        query: Some(schema::<ServiceQuery>),
        success: ok::<Vec<Service>>(),
        further_headers: NEXT_PAGE,
        ..Route::new(Verb::Get, "/v1/services", ANYONE, || to(services::list))
    },
    Route {
        summary: "Offer a new service",
        body: Some(schema::<CreateService>),
        success: created::<Service>(),
        further_problems: NOT_FOUND_OR_CONFLICT,
        further_headers: PLACE,
        ..Route::new(Verb::Post, "/v1/services", MANAGERS, || to(services::create))
    },
    Route {
        summary: "One service",
        success: ok::<Service>(),
        versions: Versions::Read,
        ..Route::new(Verb::Get, "/v1/services/{serviceId}", ANYONE, || to(services::get))
    },
    Route {
        summary: "Change a service",
        body: Some(schema::<ChangeService>),
        success: ok::<Service>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Patch, "/v1/services/{serviceId}", MANAGERS, || to(services::change))
    },
    Route {
        summary: "List staff",
        query: Some(schema::<StaffQuery>),
        success: ok::<Vec<StaffMember>>(),
        further_headers: NEXT_PAGE,
        ..Route::new(Verb::Get, "/v1/staff", ANYONE, || to(staff::list))
    },
    Route {
        summary: "Add a staff member",
        body: Some(schema::<CreateStaff>),
        success: created::<StaffMember>(),
        further_problems: CONFLICT,
        further_headers: PLACE,
        ..Route::new(Verb::Post, "/v1/staff", MANAGERS, || to(staff::create))
    },
    Route {
        summary: "Make somebody a member of the workspace",
        body: Some(schema::<Invitation>),
        success: created::<Invited>(),
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/staff/invite", MANAGERS, || to(staff::invite))
    },
    Route {
        summary: "One staff member",
        success: ok::<StaffMember>(),
        versions: Versions::Read,
        ..Route::new(Verb::Get, "/v1/staff/{staffId}", ANYONE, || to(staff::get))
    },
    Route {
        summary: "Change a staff member",
        body: Some(schema::<ChangeStaff>),
        success: ok::<StaffMember>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Patch, "/v1/staff/{staffId}", MANAGERS, || to(staff::change))
    },
    Route {
        summary: "When a staff member works",
        success: ok::<WorkingHours>(),
        versions: Versions::Read,
        ..Route::new(Verb::Get, "/v1/staff/{staffId}/working-hours", SALON, || to(staff::get_hours))
    },
    Route {
        summary: "Set the weekly hours of a staff member",
        body: Some(schema::<WorkingHours>),
        success: ok::<WorkingHours>(),
        versions: Versions::Change,
        ..Route::new(Verb::Put, "/v1/staff/{staffId}/working-hours", MANAGERS, || to(staff::put_hours))
    },
    Route {
        summary: "Give one day hours of its own",
        body: Some(schema::<ExceptionHours>),
        success: ok::<WorkingHours>(),
        versions: Versions::Change,
        ..Route::new(Verb::Put, "/v1/staff/{staffId}/exceptions/{date}", MANAGERS, || to(staff::put_exception))
    },
    Route {
        summary: "Let one day have the weekly hours again",
        versions: Versions::Change,
        ..Route::new(Verb::Delete, "/v1/staff/{staffId}/exceptions/{date}", MANAGERS, || to(staff::clear_exception))
    },
    Route {
        summary: "List the time off of a staff member",
        success: ok::<Listing<TimeOff>>(),
        ..Route::new(Verb::Get, "/v1/staff/{staffId}/time-off", MEMBERS, || to(staff::list_time_off))
    },
    Route {
        summary: "Add time off",
        body: Some(schema::<NewTimeOff>),
        success: created::<TimeOff>(),
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/staff/{staffId}/time-off", MANAGERS, || to(staff::add_time_off))
    },
    Route {
        summary: "Take time off back",
        ..Route::new(Verb::Delete, "/v1/staff/{staffId}/time-off/{timeOffId}", MANAGERS, || to(staff::remove_time_off))
    },
    Route {
        summary: "Booked and working minutes by day",
        query: Some(schema::<UtilisationQuery>),
        success: ok::<Listing<UtilisationDay>>(),
        ..Route::new(Verb::Get, "/v1/staff/{staffId}/utilisation", MANAGERS, || to(staff::utilisation))
    },
    Route {
        summary: "One customer",
        success: ok::<Customer>(),
        versions: Versions::Read,
        ..Route::new(Verb::Get, "/v1/customers/{customerId}", SALON_AND_CUSTOMER, || to(customers::get))
    },
    Route {
        summary: "Change a customer",
        body: Some(schema::<ChangeCustomer>),
        success: ok::<Customer>(),
        versions: Versions::Change,
        ..Route::new(Verb::Patch, "/v1/customers/{customerId}", SALON_AND_CUSTOMER, || to(customers::change))
    },
    Route {
        summary: "A customer's points",
        success: ok::<LoyaltyAccount>(),
        versions: Versions::Sent,
        ..Route::new(Verb::Get, "/v1/loyalty/{customerId}", SALON_AND_CUSTOMER, || to(loyalty::balance))
    },
    Route {
        summary: "How a customer's points came and went",
        query: Some(schema::<HistoryQuery>),
        success: ok::<Listing<LoyaltyEntry>>(),
        ..Route::new(Verb::Get, "/v1/loyalty/{customerId}/history", SALON_AND_CUSTOMER, || to(loyalty::history))
    },
    Route {
        summary: "Spend points",
        body: Some(schema::<RedeemPoints>),
        success: ok::<PointsChanged>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/loyalty/{customerId}/redeem", SALON, || to(loyalty::redeem))
    },
    Route {
        summary: "Correct a customer's points",
        body: Some(schema::<AdjustPoints>),
        success: ok::<PointsChanged>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/loyalty/{customerId}/adjust", MANAGERS, || to(loyalty::adjust))
    },
    Route {
        summary: "List products",
        query: Some(schema::<ProductQuery>),
        success: ok::<Listing<Product>>(),
        ..Route::new(Verb::Get, "/v1/products", SALON, || to(products::list))
    },
    Route {
        summary: "Add a product",
        body: Some(schema::<CreateProduct>),
        success: created::<Product>(),
        further_problems: CONFLICT,
        further_headers: PLACE,
        ..Route::new(Verb::Post, "/v1/products", MANAGERS, || to(products::create))
    },
    Route {
        summary: "One product",
        success: ok::<Product>(),
        versions: Versions::Read,
        ..Route::new(Verb::Get, "/v1/products/{productId}", SALON, || to(products::get))
    },
    Route {
        summary: "Change a product",
        body: Some(schema::<ChangeProduct>),
        success: ok::<Product>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Patch, "/v1/products/{productId}", MANAGERS, || to(products::change))
    },
    Route {
        summary: "How much of a product there is",
        success: ok::<Stock>(),
        versions: Versions::Sent,
        ..Route::new(Verb::Get, "/v1/products/{productId}/stock", SALON, || to(stock::get))
    },
    Route {
        summary: "How a product's stock came and went",
        query: Some(schema::<MovementQuery>),
        success: ok::<Listing<Movement>>(),
        ..Route::new(Verb::Get, "/v1/products/{productId}/movements", SALON, || to(stock::movements))
    },
    Route {
        summary: "Goods have come in",
        body: Some(schema::<ReceiveStock>),
        success: ok::<StockChanged>(),
        versions: Versions::Change,
        ..Route::new(Verb::Post, "/v1/products/{productId}/receive", MANAGERS, || to(stock::receive))
    },
    Route {
        summary: "Correct a product's stock",
        body: Some(schema::<AdjustStock>),
        success: ok::<StockChanged>(),
        versions: Versions::Change,
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/products/{productId}/adjust", MANAGERS, || to(stock::adjust))
    },
    Route {
        summary: "Keep goods back for a while: all that are named, or none",
        body: Some(schema::<ReserveStock>),
        success: ok::<StockReserved>(),
        further_problems: NOT_FOUND_OR_CONFLICT,
        ..Route::new(Verb::Post, "/v1/stock/reserve", SALON, || to(stock::reserve))
    },
    Route {
        summary: "Give back what is left of a reservation",
        body: Some(schema::<ReleaseStock>),
        success: ok::<StockReleased>(),
        further_problems: NOT_FOUND,
        ..Route::new(Verb::Post, "/v1/stock/release", SALON, || to(stock::release))
    },
    Route {
        summary: "Take goods, reserved ones or others",
        body: Some(schema::<ConsumeStock>),
        success: ok::<StockConsumed>(),
        further_problems: NOT_FOUND_OR_CONFLICT,
        ..Route::new(Verb::Post, "/v1/stock/consume", SALON, || to(stock::consume))
    },
    Route {
        summary: "The salon's figures",
        query: Some(schema::<DashboardQuery>),
        success: ok::<Dashboard>(),
        ..Route::new(Verb::Get, "/v1/admin/dashboard", MANAGERS, || to(figures::dashboard))
    },
    Route {
        summary: "What was booked, by day, month, staff member or service",
        query: Some(schema::<RevenueQuery>),
        success: ok::<Listing<Revenue>>(),
        ..Route::new(Verb::Get, "/v1/admin/revenue", MANAGERS, || to(figures::revenue))
    },
    Route {
        summary: "The stock of all products, and what should be ordered",
        query: Some(schema::<InventoryQuery>),
        success: ok::<Listing<InventoryItem>>(),
        ..Route::new(Verb::Get, "/v1/admin/inventory", MANAGERS, || to(figures::inventory))
    },
    Route {
        summary: "What was changed in the workspace's rows, and by whom; newest first",
        query: Some(schema::<AuditQuery>),
        success: ok::<Listing<AuditEntry>>(),
        ..Route::new(Verb::Get, "/v1/admin/audit", MANAGERS, || to(audit::list))
    },
    Route {
        summary: "List webhooks",
        success: ok::<Listing<Webhook>>(),
        ..Route::new(Verb::Get, "/v1/webhooks", MANAGERS, || to(webhooks::list))
    },
    Route {
        summary: "Have a URL called when something becomes of a booking; the answer shows the secret",
        body: Some(schema::<CreateWebhook>),
        success: created::<WebhookSecret>(),
        versions: Versions::Sent,
        further_problems: NOT_FOUND_OR_CONFLICT,
        further_headers: PLACE,
        ..Route::new(Verb::Post, "/v1/webhooks", MANAGERS, || to(webhooks::create))
    },
    Route {
        summary: "One webhook",
        success: ok::<Webhook>(),
        versions: Versions::Read,
        ..Route::new(Verb::Get, "/v1/webhooks/{webhookId}", MANAGERS, || to(webhooks::get))
    },
    Route {
        summary: "Change a webhook, or switch it off or on",
        body: Some(schema::<ChangeWebhook>),
        success: ok::<Webhook>(),
        versions: Versions::Change,
        ..Route::new(Verb::Patch, "/v1/webhooks/{webhookId}", MANAGERS, || to(webhooks::change))
    },
    Route {
        summary: "Delete a webhook",
        versions: Versions::Change,
        ..Route::new(Verb::Delete, "/v1/webhooks/{webhookId}", MANAGERS, || to(webhooks::delete))
    },
    Route {
        summary: "Make a new secret; the previous one signs as well for a while, and meanwhile no other is made",
        success: ok::<WebhookSecret>(),
        versions: Versions::Sent,
        further_problems: CONFLICT,
        ..Route::new(Verb::Post, "/v1/webhooks/{webhookId}/rotate-secret", MANAGERS, || to(webhooks::rotate_secret))
    },
    Route {
        summary: "What was sent to a webhook, newest first",
        query: Some(schema::<DeliveryQuery>),
        success: ok::<Listing<WebhookDelivery>>(),
        ..Route::new(Verb::Get, "/v1/webhooks/{webhookId}/deliveries", MANAGERS, || to(webhooks::list_deliveries))
    },
    Route {
        summary: "Send something to a webhook again",
        success: ok::<WebhookDelivery>(),
        ..Route::new(Verb::Post, "/v1/webhooks/{webhookId}/deliveries/{deliveryId}/replay", MANAGERS, || {
            to(webhooks::replay)
        })
    },
    Route {
        summary: "Whether the process answers",
        success: ok::<Health>(),
        ..Route::new(Verb::Get, "/health/live", Access::Public, || to(health::live))
    },
    Route {
        summary: "Whether requests can be served, and what is missing for it",
        success: ok::<Health>(),
        unavailable: Some(schema::<Health>),
        ..Route::new(Verb::Get, "/health/ready", Access::Public, || to(health::ready))
    },
    Route {
        summary: "Metrics for Prometheus",
        success: text("text/plain"),
        ..Route::new(Verb::Get, "/metrics", Access::Public, || to(health::metrics))
    },
    Route {
        summary: "This document, as OpenAPI 3.1",
        success: text("application/json"),
        ..Route::new(Verb::Get, "/openapi.json", Access::Public, || to(openapi::serve))
    },
    Route {
        summary: "This document, to read",
        success: text("text/html"),
        ..Route::new(Verb::Get, "/docs", Access::Public, || to(docs::serve))
    },
];
