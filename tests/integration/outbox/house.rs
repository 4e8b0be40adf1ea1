//! A salon with its bookings as rows, and workers of the outbox on its database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codeccloud::clock::{SystemClock, SystemIds};
use codeccloud::outbox::email::{EmailSender, SmtpSettings};
use codeccloud::outbox::webhooks::{Caller as Calling, WebhookSender};
use codeccloud::outbox::{OutboxPorts, OutboxSettings, OutboxStore, OutboxWorker, Schedule, SenderOf};
use codeccloud::ports::{IdempotencyKey, NewWebhook, Webhooks};
use codeccloud::postgres::tenants::{self, NewTenant, NewTenantService, NewTenantStaff};
use codeccloud::postgres::{
    CallerPool, DatabaseRole, OutboxWaker, PostgresEndpoints, PostgresOutbox, PostgresVault, PostgresWebhooks,
};
use codeccloud::settings::SmtpEncryption;
use codeccloud::vault::{CustomerProfile, MasterKey, MasterKeys, Vault};
use codeccloud_actors::envelope::{Caller, Role};
use codeccloud_actors::ids::{CustomerId, StaffId, TenantId, UserId};
use codeccloud_actors::money::Currency;
use codeccloud_actors::ports::Ids;
use codeccloud_actors::stage::Stage;
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{Database, key};

pub struct House {
    pub database: Arc<Database>,
    /// Writes rows as other software does, past all policies; the triggers fire.
    pub rows: Client,
    pub tenant_id: TenantId,
    pub manager: Caller,
    pub vault: Arc<Vault>,
    staff_id: Uuid,
    service_id: Uuid,
}

/// How a worker does its work.
pub struct Manner {
    pub smtp_port: Option<u16>,
    pub schedule: Schedule,
    pub lease: Duration,
    pub allow_private: bool,
    pub call_timeout: Duration,
    pub smtp_timeout: Duration,
    pub poll: Duration,
    pub senders: usize,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            smtp_port: None,
            schedule: quick(5),
            lease: Duration::from_secs(10),
            allow_private: true,
            call_timeout: Duration::from_secs(5),
            smtp_timeout: Duration::from_secs(5),
            poll: Duration::from_millis(20),
            senders: 16,
        }
    }
}

pub fn quick(attempts_max: u32) -> Schedule {
    Schedule::Backoff { min: Duration::from_millis(40), max: Duration::from_secs(1), attempts_max }
}

impl House {
    pub async fn build() -> House {
        House::on(Database::create().await, "de-CH").await
    }

    pub async fn on(database: Database, locale: &str) -> House {
        // Bookings of the tests lie in these months.
        for month in ["2031-06-01", "2031-07-01"] {
            let make = format!("SELECT app_private.create_appointments_partition('{month}')");
            database.owner().await.batch_execute(&make).await.unwrap();
        }
        House::of(Arc::new(database), "aare", locale).await
    }

    /// Another salon on the same database.
    pub async fn neighbour(&self) -> House {
        House::of(self.database.clone(), "birs", "de-CH").await
    }

    async fn of(database: Arc<Database>, slug: &str, locale: &str) -> House {
        let (staff_id, service_id, tenant_id) = (SystemIds.uuid(), SystemIds.uuid(), TenantId(SystemIds.uuid()));
        let service = NewTenantService {
            id: service_id,
            name: "Schneiden, Föhnen; kurz".to_owned(),
            duration_minutes: 30,
            price_cents: 5_000,
            currency: Currency::Chf,
            buffer_after_minutes: 0,
        };
        let staff = NewTenantStaff {
            id: StaffId(staff_id),
            display_name: "Bea".to_owned(),
            color: "#123456".to_owned(),
            hours: Vec::new(),
        };
        let tenant = NewTenant {
            stage: Stage::Mvp,
            id: tenant_id,
            slug: slug.to_owned(),
            name: "Salon Aare".to_owned(),
            locale: locale.to_owned(),
            time_zone: "Europe/Zurich".to_owned(),
            services: vec![service],
            staff: vec![staff],
        };
        let mut operator = database.database().connect(DatabaseRole::Operator).await.unwrap();
        assert!(tenants::create(&mut operator, &tenant).await.unwrap());
        let manager = Caller { user_id: UserId(SystemIds.uuid()), role: Role::Manager };
        tenants::admit(&operator, tenant_id, manager.user_id, Role::Manager).await.unwrap();
        let store = Arc::new(PostgresVault::new(database.pool(DatabaseRole::Vault)));
        let vault = Arc::new(Vault::new(master_keys(), store, Arc::new(SystemClock)));
        let rows = database.superuser().await;
        House { database, rows, tenant_id, manager, vault, staff_id, service_id }
    }

    pub async fn worker(&self, manner: Manner) -> OutboxWorker {
        let pool = self.database.pool(DatabaseRole::Outbox);
        let store: Arc<dyn OutboxStore> = Arc::new(PostgresOutbox::new(pool.clone()));
        let email = manner.smtp_port.map(|port| {
            let settings = SmtpSettings {
                host: "127.0.0.1".to_owned(),
                port,
                encryption: SmtpEncryption::None,
                authorities: None,
                credentials: None,
                from: "no-reply@codeccloud.test".to_owned(),
                timeout: manner.smtp_timeout,
            };
            let sender = EmailSender::new(store.clone(), self.vault.clone(), Arc::new(SystemClock), &settings).unwrap();
            SenderOf { sender: Arc::new(sender), schedule: manner.schedule.clone() }
        });
        let webhooks = WebhookSender {
            endpoints: Arc::new(PostgresEndpoints::new(pool)),
            keys: master_keys(),
            caller: Calling::new(manner.allow_private, manner.call_timeout),
            clock: Arc::new(SystemClock),
        };
        let waker = OutboxWaker::default();
        waker.start(&self.database.database(), Duration::from_millis(5));
        let ports = OutboxPorts {
            store,
            email,
            webhooks: SenderOf { sender: Arc::new(webhooks), schedule: manner.schedule },
            wake: waker.worker(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
        };
        let settings = OutboxSettings {
            poll: manner.poll,
            batch_max: 50,
            senders: manner.senders,
            lease: manner.lease,
            kept: Duration::from_secs(3_600),
        };
        OutboxWorker::start(ports, settings).await.unwrap()
    }

    pub fn endpoints(&self) -> PostgresWebhooks {
        PostgresWebhooks {
            members: CallerPool::new(&self.database.database(), DatabaseRole::Authenticated, 8, Duration::from_secs(5)),
            keys: master_keys(),
            waker: OutboxWaker::default(),
            ids: Arc::new(SystemIds),
            allow_private_addresses: true,
            previous_secret_hours: 24,
        }
    }

    /// The endpoint's id and secret.
    pub async fn endpoint(&self, url: &str) -> (Uuid, String) {
        let new = NewWebhook { url: url.to_owned(), event_types: Vec::new() };
        let created = self.endpoints().create(self.tenant_id, self.manager, new, idempotency()).await.unwrap();
        (created.0.id, created.1)
    }

    /// A customer in the vault.
    pub async fn customer(&self, email: &str) -> CustomerId {
        let id = CustomerId(SystemIds.uuid());
        let profile = CustomerProfile {
            email: email.to_owned(),
            phone: None,
            first_name: "Zoë".to_owned(),
            last_name: "Müller".to_owned(),
        };
        let row = self.vault.seal_customer(self.tenant_id, id, &profile).await.unwrap().row.unwrap();
        let sql = "INSERT INTO vault_customers (tenant_id, customer_id, wrapped_key, master_key_id, profile, \
                   email_lookup) VALUES ($1, $2, $3, $4, $5, $6)";
        let (key, sealed, lookup) = (&*row.wrapped_key, &*row.profile, &*row.email_lookup);
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&self.tenant_id.0, &id.0, &key, &row.master_key_id, &sealed, &lookup];
        self.rows.execute(sql, &values).await.unwrap();
        id
    }

    /// A booking of half an hour on 2 June 2031 that nobody has yet: `number` picks the slot.
    pub async fn book(&self, customer: Option<CustomerId>, number: i32) -> Uuid {
        let id = SystemIds.uuid();
        let sql = "INSERT INTO appointments (tenant_id, id, code, customer_id, staff_id, service_id, status, slot_start, \
                   slot_end) SELECT $1, $2, $2::uuid::text, $3, $4, $5, 'scheduled', start, start + interval '30 minutes' \
                   FROM (SELECT '2031-06-02 07:00Z'::timestamptz + $6::int * interval '30 minutes') slot (start)";
        let customer = customer.map(|customer| customer.0);
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&self.tenant_id.0, &id, &customer, &self.staff_id, &self.service_id, &number];
        self.rows.execute(sql, &values).await.unwrap();
        id
    }

    pub async fn change(&self, booking: Uuid, set: &str) {
        let sql = format!("UPDATE appointments SET {set} WHERE id = $1");
        assert_eq!(self.rows.execute(&sql, &[&booking]).await.unwrap(), 1, "{set}");
    }

    /// Waits until no entry is open.
    pub async fn settled(&self) {
        self.open_entries(0).await;
    }

    /// Waits until as many entries are open.
    pub async fn open_entries(&self, count: i64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let open = "SELECT count(*) FROM outbox_events WHERE processed_at IS NULL";
        loop {
            let open: i64 = self.rows.query_one(open, &[]).await.unwrap().get(0);
            if open == count {
                return;
            }
            assert!(Instant::now() < deadline, "{open} entries stay open: {:#?}", self.deliveries().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until as many entries are not planned.
    pub async fn unplanned(&self, count: i64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let unplanned = "SELECT count(*) FROM app_private.outbox_start s JOIN outbox_events e \
                         ON e.id > greatest(s.entry_id, s.planned_to) \
                         WHERE NOT EXISTS (SELECT FROM app_private.outbox_planned p WHERE p.entry_id = e.id)";
        while self.rows.query_one(unplanned, &[]).await.unwrap().get::<_, i64>(0) != count {
            assert!(Instant::now() < deadline, "entries stay unplanned");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until as many connections listen.
    pub async fn listened(&self, count: i64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let listening =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'";
        while self.rows.query_one(listening, &[]).await.unwrap().get::<_, i64>(0) < count {
            assert!(Instant::now() < deadline, "nobody listens");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// In the order in which they were planned.
    pub async fn deliveries(&self) -> Vec<Value> {
        let sql = "SELECT to_jsonb(d) FROM outbox_deliveries d ORDER BY number";
        self.rows.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// Waits until as many deliveries are in this state.
    pub async fn in_state(&self, state: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let all = self.deliveries().await;
            let found: Vec<Value> = all.iter().filter(|delivery| delivery["state"] == state).cloned().collect();
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < deadline, "not {count} {state}: {all:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub fn idempotency() -> IdempotencyKey {
    IdempotencyKey { key: key(), request_hash: [1; 32] }
}

fn master_keys() -> MasterKeys {
    MasterKeys::new(MasterKey::new("1", [7; 32]), Vec::new()).unwrap()
}
