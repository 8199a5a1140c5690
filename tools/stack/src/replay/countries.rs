//! Country names of shops' files as ISO 3166-1 alpha-2 codes.

/// The code of a country as retail files name it: English names, and the ways in which the Online Retail data set writes
/// some. `None` for a name that is none (`Unspecified`, `European Community`) or unknown here.
pub(super) fn code(name: &str) -> Option<&'static str> {
    let wanted = name.trim();
    COUNTRIES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, code)| *code)
}

/// Where goods go whose country the file does not say: the shop's own country.
pub(super) const HOME: &str = "GB";

const COUNTRIES: [(&str, &str); 72] = [
    ("United Kingdom", "GB"),
    // As the data set spells them.
    ("EIRE", "IE"),
    // Jersey and Guernsey have codes of their own, the islands as a group have none; Jersey has most of the trade.
    ("Channel Islands", "JE"),
    ("RSA", "ZA"),
    ("USA", "US"),
    ("Korea", "KR"),
    // English names.
    ("Argentina", "AR"),
    ("Australia", "AU"),
    ("Austria", "AT"),
    ("Bahrain", "BH"),
    ("Belgium", "BE"),
    ("Bermuda", "BM"),
    ("Brazil", "BR"),
    ("Bulgaria", "BG"),
    ("Canada", "CA"),
    ("Chile", "CL"),
    ("China", "CN"),
    ("Croatia", "HR"),
    ("Cyprus", "CY"),
    ("Czech Republic", "CZ"),
    ("Czechia", "CZ"),
    ("Denmark", "DK"),
    ("Egypt", "EG"),
    ("Estonia", "EE"),
    ("Finland", "FI"),
    ("France", "FR"),
    ("Germany", "DE"),
    ("Gibraltar", "GI"),
    ("Greece", "GR"),
    ("Guernsey", "GG"),
    ("Hong Kong", "HK"),
    ("Hungary", "HU"),
    ("Iceland", "IS"),
    ("India", "IN"),
    ("Indonesia", "ID"),
    ("Ireland", "IE"),
    ("Isle of Man", "IM"),
    ("Israel", "IL"),
    ("Italy", "IT"),
    ("Japan", "JP"),
    ("Jersey", "JE"),
    ("Kuwait", "KW"),
    ("Latvia", "LV"),
    ("Lebanon", "LB"),
    ("Lithuania", "LT"),
    ("Luxembourg", "LU"),
    ("Malaysia", "MY"),
    ("Malta", "MT"),
    ("Mexico", "MX"),
    ("Netherlands", "NL"),
    ("New Zealand", "NZ"),
    ("Nigeria", "NG"),
    ("Norway", "NO"),
    ("Poland", "PL"),
    ("Portugal", "PT"),
    ("Romania", "RO"),
    ("Saudi Arabia", "SA"),
    ("Singapore", "SG"),
    ("Slovakia", "SK"),
    ("Slovenia", "SI"),
    ("South Africa", "ZA"),
    ("South Korea", "KR"),
    ("Spain", "ES"),
    ("Sweden", "SE"),
    ("Switzerland", "CH"),
    ("Taiwan", "TW"),
    ("Thailand", "TH"),
    ("Turkey", "TR"),
    ("Ukraine", "UA"),
    ("United Arab Emirates", "AE"),
    ("United States", "US"),
    ("West Indies", "AG"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_data_set_have_codes() {
        for (name, expected) in [
            ("United Kingdom", Some("GB")),
            ("EIRE", Some("IE")),
            (" Channel Islands ", Some("JE")),
            ("RSA", Some("ZA")),
            ("germany", Some("DE")),
            ("Unspecified", None),
            ("European Community", None),
            ("", None),
        ] {
            assert_eq!(code(name), expected, "{name:?}");
        }
    }

    #[test]
    fn codes_are_two_capitals_and_names_stand_once() {
        for (i, (name, code)) in COUNTRIES.iter().enumerate() {
            assert!(
                code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()),
                "{name} {code}"
            );
            assert!(
                COUNTRIES[..i]
                    .iter()
                    .all(|(other, _)| !other.eq_ignore_ascii_case(name)),
                "{name} twice"
            );
        }
    }
}
