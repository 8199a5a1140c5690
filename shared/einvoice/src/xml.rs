//! A thin hand on the XML writer: elements by closure, empty texts left out, the first failure kept to the end.

use std::borrow::Cow;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// Attributes by name and value.
pub(crate) type Attributes<'a> = &'a [(&'a str, &'a str)];

/// A document that is being written.
pub(crate) struct Xml {
    writer: Writer<Vec<u8>>,
    failed: Option<io::Error>,
}

impl Xml {
    /// A document with one root element.
    pub(crate) fn document(
        root: &str,
        namespaces: Attributes<'_>,
        inner: impl FnOnce(&mut Self),
    ) -> io::Result<Vec<u8>> {
        let mut xml = Self {
            writer: Writer::new_with_indent(Vec::with_capacity(16 * 1024), b' ', 1),
            failed: None,
        };
        xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        xml.node_with(root, namespaces, inner);
        let mut bytes = xml.writer.into_inner();
        bytes.push(b'\n');
        xml.failed.map_or(Ok(bytes), Err)
    }

    /// An element with others in it.
    pub(crate) fn node(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.node_with(name, &[], inner);
    }

    fn node_with(&mut self, name: &str, attributes: Attributes<'_>, inner: impl FnOnce(&mut Self)) {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.event(Event::Start(start));
        inner(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// An element with a text; none when the text is empty, which Peppol forbids (PEPPOL-EN16931-R008).
    pub(crate) fn leaf(&mut self, name: &str, text: &str) {
        self.leaf_with(name, &[], text);
    }

    /// The same with attributes.
    pub(crate) fn leaf_with(&mut self, name: &str, attributes: Attributes<'_>, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.event(Event::Start(start));
        self.event(Event::Text(BytesText::new(&writable(text))));
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// A leaf for a text that may be missing.
    pub(crate) fn leaf_if(&mut self, name: &str, text: Option<&str>) {
        self.leaf(name, text.unwrap_or_default());
    }

    fn event(&mut self, event: Event<'_>) {
        if self.failed.is_none() {
            self.failed = self.writer.write_event(event).err();
        }
    }
}

/// The text with a space for what XML 1.0 cannot hold. The gateway lets no such character in; imports may.
fn writable(text: &str) -> Cow<'_, str> {
    let forbidden = |c: char| matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(forbidden) {
        Cow::Owned(text.replace(forbidden, " "))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Xml;

    #[test]
    fn markup_is_escaped_and_what_xml_cannot_hold_becomes_a_space() {
        let bytes = Xml::document("a", &[("xmlns", "urn:x")], |xml| {
            xml.leaf("b", "<&>\u{1}é");
            xml.leaf("empty", " ");
        });
        let text = String::from_utf8(bytes.expect("written")).expect("UTF-8");
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns=\"urn:x\">\n <b>&lt;&amp;&gt; é</b>\n</a>\n"
        );
    }
}
