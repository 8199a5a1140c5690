//! Every route × every role: who is let in is what the OpenAPI document says, and that is pinned.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;
use steelyard_domain::scope::Scope;

use crate::support::Gateway;

/// Each operation with the scopes that the document names; `None` where it says nothing.
async fn declared(gateway: &Gateway) -> BTreeMap<String, Option<Vec<String>>> {
    let document: Value = gateway
        .call(Method::GET, "/openapi.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let mut declared = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let scopes = operation.get("security").map(|security| {
                let alternatives = security.as_array().unwrap();
                alternatives
                    .iter()
                    .map(|one| one["bearer"][0].as_str().unwrap().to_owned())
                    .collect()
            });
            declared.insert(format!("{} {path}", method.to_uppercase()), scopes);
        }
    }
    declared
}

#[tokio::test]
async fn every_route_declares_who_may_call_it() {
    let gateway = Gateway::start().await;
    let declared = declared(&gateway).await;
    for (route, scopes) in &declared {
        assert!(scopes.is_some(), "{route} does not say who may call it");
    }
    insta::assert_json_snapshot!(declared);
}

#[tokio::test]
async fn every_route_lets_in_just_the_roles_that_it_declares() {
    let gateway = Gateway::start().await;
    let declared = declared(&gateway).await;
    assert!(declared.len() >= 13, "{declared:?}");
    for (route, scopes) in declared {
        let scopes = scopes.unwrap();
        let (method, path) = route.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let path = path
            .replace("{id}", "83da7b84-a1ef-80a2-a6a4-f82d31aa9bb5")
            .replace("{sku}", "85123A")
            .replace("{code}", "lamps")
            .replace("{name}", "spring.csv");
        assert!(!path.contains('{'), "{path}");
        let status = async |request: reqwest::RequestBuilder| {
            request.send().await.unwrap().status().as_u16()
        };
        let anonymous = status(gateway.call(method.clone(), &path)).await;
        assert_eq!(
            anonymous == 401,
            !scopes.is_empty(),
            "{route} without a token: {anonymous}"
        );
        for role in Scope::ALL {
            let got = status(gateway.by("alice", role.as_str(), method.clone(), &path)).await;
            let may = scopes.is_empty() || scopes.iter().any(|scope| scope == role.as_str());
            assert_ne!(got, 401, "{route} as {}", role.as_str());
            assert_eq!(got != 403, may, "{route} as {}: {got}", role.as_str());
        }
    }
}

#[tokio::test]
async fn the_document_is_pinned_and_readable_without_a_network() {
    let gateway = Gateway::start().await;
    let document: Value = gateway
        .call(Method::GET, "/openapi.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    insta::assert_json_snapshot!("openapi", document);

    let page = gateway.call(Method::GET, "/docs/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains("swagger-ui"), "{page}");
    let fetched = page
        .split(['"', '\''])
        .find(|text| text.starts_with("http"));
    assert_eq!(fetched, None, "the page fetches something from elsewhere");
    let script = gateway
        .call(Method::GET, "/docs/swagger-ui-bundle.js")
        .send()
        .await
        .unwrap();
    assert_eq!(script.status(), 200);
}
