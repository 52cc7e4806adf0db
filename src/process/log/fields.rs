//! Formats log records for people: an event as its sentence, which says all that its fields say; any other record
//! with its fields.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};

pub(super) struct Fields;

/// The message, and whether it is an event's sentence.
#[derive(Default)]
struct Look {
    sentence: String,
    is_event: bool,
}

impl Visit for Look {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.sentence = format!("{value:?}"),
            "journal_id" => self.is_event = true,
            _ => {}
        }
    }
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut look = Look::default();
        fields.record(&mut look);
        if look.is_event {
            return writer.write_str(&look.sentence);
        }
        DefaultFields::new().format_fields(writer, fields)
    }
}
