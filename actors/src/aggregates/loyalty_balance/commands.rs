use crate::ids::BookingId;
use crate::money::Money;

#[derive(Debug, Clone, PartialEq)]
pub enum LoyaltyCommand {
    /// Points for a completed booking, by the tenant's rules; once per booking.
    Accrue { booking_id: BookingId, paid: Money },
    /// `redemption_id` makes it happen once.
    Redeem { redemption_id: uuid::Uuid, points: u32 },
    /// A correction by a person, up or down.
    Adjust { adjustment_id: uuid::Uuid, points: i32 },
    /// Takes back what a booking earned, as far as it is still there.
    Reverse { booking_id: BookingId },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoyaltyRefusal {
    #[error("the balance is {balance} points, which is less than {asked}")]
    InsufficientPoints { balance: u32, asked: u32 },
    #[error("nothing was earned by this booking, or it was reversed already")]
    NothingToReverse,
}
