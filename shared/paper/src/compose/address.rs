//! Addresses as the destination's post wants them.

use steelyard_einvoice::model::PostalAddress;

use crate::theme::Language;

/// The lines of an address. The country stands in capitals when the letter goes abroad.
pub(super) fn lines(
    name: &str,
    address: &PostalAddress,
    from_country: &str,
    language: &Language,
) -> Vec<String> {
    let mut lines = vec![name.to_owned(), address.line1.clone()];
    lines.extend(address.line2.clone());
    lines.extend(locality(address));
    if address.country != from_country {
        lines.push(language.country(&address.country).to_uppercase());
    }
    lines
}

/// The same in one line.
pub(super) fn inline(
    name: &str,
    address: &PostalAddress,
    from_country: &str,
    language: &Language,
) -> String {
    lines(name, address, from_country, language).join(", ")
}

fn locality(address: &PostalAddress) -> Vec<String> {
    let city = address.city.as_str();
    let region = address.region.as_deref().unwrap_or_default();
    let postcode = address.postcode.as_deref().unwrap_or_default();
    let joined = |parts: &[&str]| {
        let parts: Vec<&str> = parts.iter().copied().filter(|p| !p.is_empty()).collect();
        parts.join(" ")
    };
    match address.country.as_str() {
        "US" | "CA" | "AU" => vec![joined(&[city, region, postcode])],
        "GB" | "IE" => [city, region, postcode]
            .into_iter()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect(),
        _ => {
            let mut lines = vec![joined(&[postcode, city])];
            lines.extend(address.region.clone());
            lines
        }
    }
}
