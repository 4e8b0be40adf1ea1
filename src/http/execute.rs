//! The way of a command: from a request to the port, and from the answer back to a response.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, http::StatusCode};
use codeccloud_actors::answer::{Answer, Verdict};
use codeccloud_actors::command::Command;

use super::problem::{self, Problem};
use super::session::Session;
use super::{Door, etag, idempotency, request_id, trace};
use crate::ports::{Answered, CommandRequest, IdempotencyKey, Personal, Render, Rendering, RequestMeta};

/// The kind of client, as events keep it.
const SOURCE: &str = "rest";

/// Everything of a request that goes with its command, besides the body.
pub struct Call {
    pub session: Session,
    request: HttpRequest,
}

impl FromRequest for Call {
    type Error = Problem;
    type Future = Ready<Result<Call, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = Session::from_request(request, payload).into_inner();
        ready(session.map(|session| Call { session, request: request.clone() }))
    }
}

impl Call {
    /// For changes that are no commands of an aggregate.
    pub fn idempotency(&self, request_hash: [u8; 32]) -> Result<IdempotencyKey, Problem> {
        let request_hash = idempotency::users_hash(self.session.caller.user_id, request_hash);
        Ok(IdempotencyKey { key: idempotency::key(&self.request)?.to_owned(), request_hash })
    }

    /// `accepted` writes the answer of a command that was accepted; refusals become problems here.
    pub async fn execute(
        self,
        door: &Door,
        request_hash: [u8; 32],
        command: Command,
        personal: Personal,
        accepted: impl Fn(&Rendering<'_>) -> Answer + Send + Sync + 'static,
    ) -> Result<Answered, Problem> {
        let request = CommandRequest {
            tenant_id: self.session.tenant_id,
            caller: self.session.caller,
            command,
            precondition: etag::if_match(&self.request)?,
            idempotency: Some(self.idempotency(request_hash)?),
            personal,
            meta: self.meta(),
            deadline: Instant::now() + door.limits.request,
            render: self.rendered_by(accepted),
        };
        Ok(door.commands.execute(request).await?)
    }

    fn meta(&self) -> RequestMeta {
        RequestMeta {
            request_id: request_id::of(&self.request),
            source: SOURCE,
            ip: self.request.peer_addr().map(|address| address.ip()),
            traceparent: trace::traceparent(&self.request),
        }
    }

    fn rendered_by(&self, accepted: impl Fn(&Rendering<'_>) -> Answer + Send + Sync + 'static) -> Render {
        let (request_id, instance) = (request_id::of(&self.request), self.request.path().to_owned());
        Arc::new(move |rendering| match rendering.verdict {
            Verdict::Accepted { .. } => accepted(rendering),
            Verdict::Refused(refusal) => {
                let problem = Problem::from(*refusal);
                let body = problem.json(&request_id, &instance).into();
                Answer { status: problem.slug.status(), body, version: None }
            }
        })
    }
}

pub fn respond(answered: Answered) -> HttpResponse {
    let Answered { answer, replayed } = answered;
    let status = StatusCode::from_u16(answer.status).expect("answers are rendered here, with HTTP statuses");
    let mut response = HttpResponse::build(status);
    response.content_type(if status.is_success() { "application/json" } else { problem::MEDIA_TYPE });
    if let Some(version) = answer.version {
        response.insert_header((header::ETAG, etag::of(version)));
    }
    mark_replay(&mut response, replayed);
    response.body(answer.body)
}

pub fn mark_replay(response: &mut HttpResponseBuilder, replayed: bool) {
    if replayed {
        metrics::counter!(codeccloud_actors::metrics_catalogue::IDEMPOTENT_REPLAYS.name).increment(1);
    }
    let text = if replayed { "true" } else { "false" };
    response.insert_header((idempotency::REPLAY.clone(), HeaderValue::from_static(text)));
}
