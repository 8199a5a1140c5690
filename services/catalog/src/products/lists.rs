//! Lists that are kept in the order in which products are shown, and pages of what several of them have in common.

use sqlx::{PgPool, Postgres, QueryBuilder};

use super::index::{label, price_labels};
use super::read::{Filter, Position, Selection, later};

/// Lists that are asked together what they have in common with others: the steps of any range of prices are fewer.
pub(super) const TOGETHER_MAX: usize = 200;
/// Lists that are read before it is tried with the whole shop.
const READ_MAX: usize = 32;

/// Lists that a filter asks for: a product of any of them is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lists {
    /// All that is for sale.
    Shop,
    /// Of categories.
    Categories(Vec<String>),
    /// Of attributes and options, or of price steps.
    Labels(Vec<String>),
}

/// How a page of a shopper's list is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// It is what these lists begin with.
    All(Lists),
    /// Of what each of these has, it is what the filter takes.
    Some(Vec<Lists>),
    /// No list helps.
    Other,
}

impl Lists {
    fn names(&self) -> &[String] {
        match self {
            Self::Shop => &[],
            Self::Categories(names) | Self::Labels(names) => names,
        }
    }

    pub(super) fn are_many(&self) -> bool {
        self.names().len() > READ_MAX
    }
}

impl Way {
    /// The way for this filter, with its category and those below.
    pub(super) fn of(filter: &Filter, below: Option<&Vec<String>>) -> Self {
        let categories = below.map(|below| Lists::Categories(below.clone()));
        let labels = |(name, values): &(String, Vec<String>)| {
            Lists::Labels(values.iter().map(|value| label(name, value)).collect())
        };
        let attributes = filter.attributes.iter().map(labels);
        let mut lists: Vec<Lists> = categories.into_iter().chain(attributes).collect();
        match &filter.price {
            Some(price) => {
                let steps = price_labels(price.currency.code(), price.min, price.max);
                lists.push(Lists::Labels(steps));
            }
            None if lists.is_empty() => return Self::All(Lists::Shop),
            None if lists.len() == 1 => return Self::All(lists.swap_remove(0)),
            None => {}
        }
        lists.retain(|lists| lists.names().len() <= TOGETHER_MAX);
        if lists.is_empty() {
            Self::Other
        } else {
            Self::Some(lists)
        }
    }
}

/// What a search is to find besides its words: of each of these sets, a label, as `search_docs` has them. What cannot be
/// asked so is left out.
pub(crate) fn labels_asked(selection: &Selection<'_>) -> Vec<Vec<String>> {
    let lists = match Way::of(selection.filter, selection.below.as_ref()) {
        Way::All(lists) => vec![lists],
        Way::Some(lists) => lists,
        Way::Other => Vec::new(),
    };
    let labels = |lists| match lists {
        Lists::Shop => None,
        Lists::Categories(codes) => {
            Some(codes.iter().map(|code| label("$category", code)).collect())
        }
        Lists::Labels(labels) => Some(labels),
    };
    let asked = lists.into_iter().filter_map(labels);
    asked
        .filter(|labels: &Vec<String>| labels.len() <= TOGETHER_MAX)
        .collect()
}

/// What these lists begin with after the position: names and SKUs, in order, each once.
///
/// Of several the first few are read, and as many as `limit` only of those of which so many could be among the first of
/// all: a page of four hundred categories is a thousand rows, not eight thousand.
pub(super) fn begin(
    query: &mut QueryBuilder<Postgres>,
    lists: &Lists,
    after: Option<&Position>,
    limit: i64,
) {
    let names = lists.names();
    if let [] | [_] = names {
        return one(query, lists, names.first(), after, limit);
    }
    let few = (2 * limit / i64::try_from(names.len()).unwrap_or(limit)).clamp(2, limit.max(2));
    query
        .push(
            "WITH firsts AS MATERIALIZED (
                 SELECT list.name AS list, page.name, page.sku, page.place FROM unnest(",
        )
        .push_bind(names.to_vec())
        .push(
            "::text[]) AS list (name) CROSS JOIN LATERAL (
                 SELECT name, sku, row_number() OVER (ORDER BY name, sku) AS place FROM (",
        );
    one(query, lists, None, after, few);
    query
        .push(
            ") AS rows) AS page
             ), bound AS MATERIALIZED (
                 SELECT name, sku FROM firsts GROUP BY name, sku ORDER BY name, sku LIMIT 1 OFFSET ",
        )
        .push_bind(limit - 1);
    query
        .push("), list AS (SELECT list AS name FROM firsts WHERE place = ")
        .push_bind(few)
        .push(
            " AND NOT EXISTS (
                 SELECT FROM bound WHERE (bound.name, bound.sku) <= (firsts.name, firsts.sku))
             )
             SELECT name, sku FROM (
                 SELECT name, sku FROM firsts
                 UNION
                 SELECT page.name, page.sku FROM list CROSS JOIN LATERAL (",
        );
    one(query, lists, None, after, limit);
    query
        .push(") AS page) AS rows ORDER BY name, sku LIMIT ")
        .push_bind(limit);
}

/// What the list of this name begins with, or the one that the row `list` names.
fn one(
    query: &mut QueryBuilder<Postgres>,
    lists: &Lists,
    name: Option<&String>,
    after: Option<&Position>,
    limit: i64,
) {
    query.push(match lists {
        Lists::Shop => {
            "SELECT name, sku FROM products WHERE variant_of IS NULL AND status = 'active'"
        }
        Lists::Categories(_) => {
            "SELECT name, sku FROM products
             WHERE variant_of IS NULL AND status = 'active' AND category = "
        }
        Lists::Labels(_) => "SELECT name, sku FROM listed WHERE label = ",
    });
    match name {
        Some(name) => {
            query.push_bind(name.clone());
        }
        None if *lists != Lists::Shop => {
            query.push("list.name");
        }
        None => {}
    }
    later(query, after);
    query.push(" ORDER BY name, sku LIMIT ").push_bind(limit);
}

/// Of these the one with the fewest rows hereabouts: so many of it reach farthest.
pub(super) async fn sparsest(
    pool: &PgPool,
    mut lists: Vec<Lists>,
    after: Option<&Position>,
    rows: i64,
) -> Result<Option<Lists>, sqlx::Error> {
    if lists.len() < 2 {
        return Ok(lists.pop());
    }
    let mut query = QueryBuilder::<Postgres>::new("SELECT number FROM (");
    for (number, lists) in (0_i64..).zip(&lists) {
        if number > 0 {
            query.push(" UNION ALL ");
        }
        query.push("SELECT ").push_bind(number).push(
            "::bigint AS number, last.name, last.sku
             FROM (SELECT) AS always LEFT JOIN (SELECT name, sku FROM (",
        );
        begin(&mut query, lists, after, rows);
        query
            .push(") AS rows ORDER BY name, sku LIMIT 1 OFFSET ")
            .push_bind(rows - 1)
            .push(") AS last ON true");
    }
    // One without has fewer than that.
    query.push(") AS reach ORDER BY name DESC NULLS FIRST, sku DESC NULLS FIRST, number LIMIT 1");
    let number: i64 = query
        .build_query_scalar()
        .persistent(false)
        .fetch_one(pool)
        .await?;
    let number = usize::try_from(number).unwrap_or_default();
    Ok((number < lists.len()).then(|| lists.swap_remove(number)))
}

#[cfg(test)]
mod tests {
    use super::{Filter, Lists, Way};
    use crate::products::PriceFilter;

    #[test]
    fn a_page_is_found_by_the_lists_that_there_are() {
        let below = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        let filter = |attributes: &[&str], max: Option<i64>| Filter {
            category: None,
            attributes: attributes
                .iter()
                .map(|value| ("brand".to_owned(), vec![(*value).to_owned()]))
                .collect(),
            price: max.map(|max| PriceFilter {
                currency: "GBP".parse().expect("a currency"),
                min: Some(1.into()),
                max: Some(max.into()),
            }),
        };
        let brand = Lists::Labels(vec!["brand=A".into()]);
        let way = Way::of(&filter(&[], None), None);
        assert_eq!(way, Way::All(Lists::Shop));
        assert_eq!(
            Way::of(&filter(&["A"], None), None),
            Way::All(brand.clone())
        );
        let tree = Lists::Categories(below(400));
        assert_eq!(
            Way::of(&filter(&[], None), Some(&below(400))),
            Way::All(tree)
        );
        // A whole tree is no list to look through.
        let way = Way::of(&filter(&["A"], None), Some(&below(400)));
        assert_eq!(way, Way::Some(vec![brand.clone()]));
        let steps = Lists::Labels((73..=76).map(|step| format!("$GBP:{step}")).collect());
        let way = Way::of(&filter(&["A"], Some(2)), Some(&below(1)));
        assert_eq!(
            way,
            Way::Some(vec![Lists::Categories(below(1)), brand, steps])
        );
        // Any range of prices is.
        let way = Way::of(&filter(&[], Some(1_000_000)), None);
        assert!(matches!(way, Way::Some(_)), "{way:?}");
        let brands: Vec<String> = (0..300).map(|brand| brand.to_string()).collect();
        let mut many = filter(&["A"], None);
        many.attributes[0].1 = brands;
        assert_eq!(Way::of(&many, Some(&below(400))), Way::Other);
    }
}
