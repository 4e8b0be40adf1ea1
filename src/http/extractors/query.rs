use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::value::{Error, MapDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::field_error;
use crate::http::problem::{Problem, Slug};
use crate::http::validate::{FieldErrors, Validate};

/// The query string, read and validated. Parameters that we don't know are ignored; an empty one is as if it weren't there.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Validate> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Query))
    }
}

fn parse<T: DeserializeOwned + Validate>(query: &str) -> Result<T, Problem> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|_| Problem::new(Slug::BadRequest, "the query string can't be read"))?
        .into_inner();
    let present = || {
        let present = pairs.iter().filter(|(_, text)| !text.is_empty());
        MapDeserializer::new(present.map(|(name, text)| (name.as_str(), Parameter(text))))
    };
    // Keeping track of the field costs as much as reading it, so it is done only when something is wrong.
    let value = T::deserialize(present()).or_else(|_| {
        serde_path_to_error::deserialize(present())
            .map_err(|error| Problem::invalid(vec![field_error(error.path(), &error.inner().to_string())]))
    })?;
    FieldErrors::of(&value)?;
    Ok(value)
}

/// A parameter's text, read as what the field asks for.
struct Parameter<'a>(&'a str);

impl Parameter<'_> {
    fn parsed<T: FromStr>(&self, expected: &str) -> Result<T, Error> {
        self.0.parse().map_err(|_| Error::custom(format_args!("must be {expected}")))
    }
}

impl<'de> Deserializer<'de> for Parameter<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u32(self.parsed("a whole number")?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.parsed("true or false")?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text: StrDeserializer<'_, Error> = self.0.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'a> IntoDeserializer<'_, Error> for Parameter<'a> {
    type Deserializer = Parameter<'a>;

    fn into_deserializer(self) -> Parameter<'a> {
        self
    }
}
