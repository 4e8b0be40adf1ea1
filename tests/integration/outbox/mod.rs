//! The outbox on a real PostgreSQL, with a real mail server and real receivers of webhooks. Entries are made as other
//! software makes them, by changes of rows.

mod adopted;
mod consumers;
mod crash;
mod failures;
mod house;
mod known;
mod mails;
mod nodes;
mod order;
mod past;
mod posted;
mod scale;
mod sink;
mod smtp;
mod upgrade;
mod webhooks;
