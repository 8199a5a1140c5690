//! Invoices, credit notes and delivery notes: what they say, made of an order, and the two spellings in which
//! European law wants to read them.
//!
//! | module | what it does |
//! |---|---|
//! | [`model`] | [`Invoice`](model::Invoice) (also a credit note) and [`DeliveryNote`](model::DeliveryNote) |
//! | [`issue`] | makes them of an [`Order`](steelyard_domain::order::Order): the same amounts, to the cent |
//! | [`treatment`] | which VAT category a line falls under: taxed, zero-rated, export, reverse charge, … |
//! | [`balance`] | refuses an invoice that does not add up |
//! | [`cii`] | writes `factur-x.xml`: UN/CEFACT CII, profile EN 16931, which goes into the PDF |
//! | [`ubl`] | writes UBL 2.1 as Peppol BIS Billing 3 wants it |
//!
//! Nothing here does I/O or reads a clock: the same invoice gives the same bytes for ever, so a file that was
//! lost, or never written, is written again. The tests put every kind of invoice before the official XSD and
//! schematron.
//!
//! # Limits
//!
//! EN 16931 knows amounts of at most two decimals (BR-DEC-01 … 28): an invoice in a currency of three, such as
//! BHD, can be issued and rendered, but not written as XML ([`NotExpressible`]).

pub mod balance;
pub mod cii;
mod date;
pub mod issue;
pub mod model;
pub mod treatment;
pub mod ubl;
mod xml;

use steelyard_domain::money::Currency;

/// Why an invoice cannot be written as EN 16931.
#[derive(Debug, thiserror::Error)]
pub enum NotExpressible {
    /// It does not add up; a receiver would refuse it.
    #[error(transparent)]
    Unbalanced(#[from] balance::Unbalanced),
    /// The currency is finer than the standard.
    #[error("EN 16931 has amounts of two decimals at most, {0} has more")]
    Currency(Currency),
    /// The writer failed, which a buffer in memory cannot.
    #[error("the XML could not be written: {0}")]
    Write(#[from] std::io::Error),
}

/// The checks that both spellings share.
fn expressible(invoice: &model::Invoice) -> Result<(), NotExpressible> {
    balance::check(invoice)?;
    if invoice.currency.minor_digits() > 2 {
        return Err(NotExpressible::Currency(invoice.currency));
    }
    Ok(())
}
