//! Keys: of which kinds, from where, and what happens when they change.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_gateway::JwksSource;
use steelyard_testkit::jwt::{Claims, issuer};

use crate::support::{Canned, Gateway, PATIENCE, Peer, Setting, problem};

fn claims() -> Claims {
    Claims::new("alice", "customer", Duration::from_mins(5))
}

fn signed(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> String {
    let header = Header {
        kid: kid.map(str::to_owned),
        ..Header::new(algorithm)
    };
    jsonwebtoken::encode(&header, &claims(), key).unwrap()
}

/// 404 is what a token that is believed gets for an order that cannot be.
async fn status(gateway: &Gateway, token: &str) -> StatusCode {
    let request = gateway
        .call(Method::GET, "/v1/orders/none")
        .bearer_auth(token);
    request.send().await.unwrap().status()
}

fn ed25519() -> (EncodingKey, Value) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": x});
    (EncodingKey::from_ed_der(pkcs8.as_ref()), jwk)
}

fn rsa() -> (EncodingKey, Value) {
    use aws_lc_rs::rsa::{KeyPair, KeySize};

    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8 =
        aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let public = pair.public_key();
    let number = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({
        "kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256",
        "n": number(public.modulus().big_endian_without_leading_zero()),
        "e": number(public.exponent().big_endian_without_leading_zero()),
    });
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64::prelude::BASE64_STANDARD.encode(pkcs8.as_ref())
    );
    (EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(), jwk)
}

#[tokio::test]
async fn rsa_and_edwards_keys_are_believed_and_a_token_cannot_choose_its_algorithm() {
    let (ed, ed_jwk) = ed25519();
    let (rsa, rsa_jwk) = rsa();
    let jwks = json!({"keys": [ed_jwk, rsa_jwk, {"kty": "oct", "kid": "hmac", "k": "c2VjcmV0"}]});
    let jwks = jwks.to_string();
    let setting = Setting {
        jwks: Some(JwksSource::Inline(jwks.clone())),
        ..Setting::default()
    };
    let gateway = setting.start().await;
    let good = [
        signed(Algorithm::EdDSA, Some("ed"), &ed),
        signed(Algorithm::RS256, Some("rsa"), &rsa),
        // Without a kid, the only key of its algorithm.
        signed(Algorithm::EdDSA, None, &ed),
    ];
    for token in good {
        assert_eq!(status(&gateway, &token).await, StatusCode::NOT_FOUND);
        assert_eq!(
            status(&gateway, &token).await,
            StatusCode::NOT_FOUND,
            "and again"
        );
    }
    // The classic attack: the public key as an HMAC secret. And a symmetric key in the set.
    let public = EncodingKey::from_secret(jwks.as_bytes());
    let bad = [
        signed(Algorithm::HS256, Some("rsa"), &public),
        signed(
            Algorithm::HS256,
            Some("hmac"),
            &EncodingKey::from_secret(b"secret"),
        ),
        signed(Algorithm::RS512, Some("rsa"), &rsa),
        signed(Algorithm::EdDSA, Some("rsa"), &ed),
        signed(Algorithm::EdDSA, Some("unknown"), &ed),
    ];
    for token in bad {
        assert_eq!(status(&gateway, &token).await, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_token_that_is_not_valid_yet_waits() {
    let mut claims = serde_json::to_value(claims()).unwrap();
    claims["nbf"] = json!(claims["iat"].as_i64().unwrap() + 3_600);
    let (ed, jwk) = ed25519();
    let jwks = Some(JwksSource::Inline(json!({"keys": [jwk]}).to_string()));
    let gateway = Setting {
        jwks,
        ..Setting::default()
    }
    .start()
    .await;
    let header = Header {
        kid: Some("ed".into()),
        ..Header::new(Algorithm::EdDSA)
    };
    let early = jsonwebtoken::encode(&header, &claims, &ed).unwrap();
    assert_eq!(status(&gateway, &early).await, StatusCode::UNAUTHORIZED);
    claims["nbf"] = claims["iat"].clone();
    // Many identity providers name several audiences.
    claims["aud"] = json!(["other", steelyard_testkit::jwt::AUDIENCE]);
    let now = jsonwebtoken::encode(&header, &claims, &ed).unwrap();
    assert_eq!(status(&gateway, &now).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn keys_come_from_a_url_when_it_answers_and_stay_when_it_does_not() {
    let keys = Peer::start().await;
    keys.say("/jwks", Canned::problem(503, "down"));
    let jwks = Some(JwksSource::Url(
        format!("{}/jwks", keys.url).parse().unwrap(),
    ));
    let gateway = Setting {
        jwks,
        ..Setting::default()
    }
    .start()
    .await;
    let issuer = Arc::new(issuer());
    let token = issuer.sign(&claims());
    let request = gateway
        .call(Method::GET, "/v1/orders/none")
        .bearer_auth(&token);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem(answer).await["code"], "keys_unavailable");

    keys.say(
        "/jwks",
        Canned::json(&serde_json::from_str(&issuer.jwks()).unwrap()),
    );
    steelyard_testkit::wait_for("the keys are there", PATIENCE, async || {
        status(&gateway, &token).await == StatusCode::NOT_FOUND
    })
    .await;
    keys.say("/jwks", Canned::problem(500, "broken"));
    // A token with a key that is not known makes the gateway look again, in vain.
    let stranger = steelyard_testkit::jwt::issuer().sign(&claims());
    assert_eq!(status(&gateway, &stranger).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&gateway, &token).await, StatusCode::NOT_FOUND);
}
