#include "peer/ice/transactions.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::ice {

bool Transactions::repeats(const Transaction& transaction) {
    return transaction.kind == Transaction::Kind::check && !transaction.cancelled && transaction.sends < kMaxSends;
}

void Transactions::add(Transaction transaction, TimePoint now) {
    transaction.sends = 1;
    transaction.sent_at = now;
    // RFC 7675 §5.1: consent is never repeated; each request is a new one.
    transaction.deadline = now + (transaction.kind == Transaction::Kind::consent ? kLinger : transaction.rto);
    live_.push_back(std::move(transaction));
}

Transaction* Transactions::find(const stun::TransactionId& id) {
    const auto found = std::ranges::find(live_, id, &Transaction::id);
    return found == live_.end() ? nullptr : &*found;
}

void Transactions::erase(const stun::TransactionId& id) {
    std::erase_if(live_, [&](const Transaction& transaction) { return transaction.id == id; });
}

Transaction* Transactions::due(TimePoint now) {
    Transaction* first = nullptr;
    for (auto& transaction : live_) {
        if (repeats(transaction) && transaction.deadline <= now &&
            (first == nullptr || transaction.deadline < first->deadline)) {
            first = &transaction;
        }
    }
    return first;
}

void Transactions::resent(Transaction& transaction, TimePoint now) {
    ++transaction.sends;
    transaction.rto *= 2;
    if (transaction.open) {
        transaction.rto = std::min(transaction.rto, kMaxOpenRto);
    }
    transaction.sent_at = now;
    transaction.deadline = now + transaction.rto;
}

std::optional<Transaction> Transactions::expire(TimePoint now) {
    for (auto at = live_.begin(); at != live_.end();) {
        if (repeats(*at) || at->deadline > now) {
            ++at;
            continue;
        }
        auto expired = std::move(*at);
        at = live_.erase(at);
        if (expired.kind == Transaction::Kind::check && !expired.cancelled) {
            return expired;
        }
    }
    return std::nullopt;
}

void Transactions::cancel(Transaction& transaction) {
    if (transaction.kind == Transaction::Kind::check && !transaction.cancelled) {
        transaction.cancelled = true;
        transaction.deadline = transaction.sent_at + kLinger;
    }
}

void Transactions::cancel(const net::PathAddresses& path) {
    for (auto& transaction : live_) {
        if (transaction.path == path) {
            cancel(transaction);
        }
    }
}

void Transactions::cancel_plain(const net::PathAddresses& path) {
    for (auto& transaction : live_) {
        if (transaction.path == path && !transaction.nominating) {
            cancel(transaction);
        }
    }
}

void Transactions::drop_plain_checks() {
    std::erase_if(live_, [](const Transaction& transaction) {
        return transaction.kind == Transaction::Kind::check && !transaction.nominating;
    });
}

std::optional<TimePoint> Transactions::next_due() const {
    std::optional<TimePoint> next;
    for (const auto& transaction : live_) {
        if (repeats(transaction)) {
            next = earliest(next, transaction.deadline);
        }
    }
    return next;
}

std::optional<TimePoint> Transactions::next_expiry() const {
    std::optional<TimePoint> next;
    for (const auto& transaction : live_) {
        if (!repeats(transaction)) {
            next = earliest(next, transaction.deadline);
        }
    }
    return next;
}

}  // namespace pinhole::ice
