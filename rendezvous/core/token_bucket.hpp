// A rate with a burst: what one stranger may cost per second.
#pragma once

#include "common/base/time.hpp"

#include <algorithm>

namespace pinhole::rendezvous {

class TokenBucket {
  public:
    struct Rate {
        double per_second = 0;
        double burst = 0;
    };

    TokenBucket(const Rate& rate, TimePoint now) : rate_(rate), tokens_(rate.burst), filled_(now) {}

    /// Takes `amount` if there is as much; takes nothing otherwise.
    [[nodiscard]] bool take(double amount, TimePoint now) {
        tokens_ = std::min(rate_.burst, tokens_ + seconds(now - filled_) * rate_.per_second);
        filled_ = now;
        if (tokens_ < amount) {
            return false;
        }
        tokens_ -= amount;
        return true;
    }

  private:
    Rate rate_;
    double tokens_;
    TimePoint filled_;
};

}  // namespace pinhole::rendezvous
