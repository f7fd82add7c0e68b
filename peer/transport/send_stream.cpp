#include "peer/transport/send_stream.hpp"

namespace pinhole::transport {

std::size_t SendStream::write(ByteView bytes, std::uint64_t limit) {
    const auto room = limit > held() ? limit - held() : 0;
    const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), room));
    store_.write(end_, bytes.first(taken));
    end_ += taken;
    return taken;
}

void SendStream::reset(std::uint64_t code) {
    reset_code_ = code;
    end_ = next_;
    base_ = next_;
    acked_.clear();
    lost_.clear();
    store_.clear(next_);
}

bool SendStream::wants_to_send() const {
    if (reset_code_) {
        return false;
    }
    return !lost_.empty() || next_ < std::min(end_, limit_) || (finish_wanted_ && !fin_sent_ && next_ == end_);
}

std::optional<SendStream::Piece> SendStream::next(std::uint64_t credit) const {
    if (reset_code_) {
        return std::nullopt;
    }
    if (!lost_.empty()) {
        const auto& range = lost_.front();
        return Piece{.offset = range.begin,
                     .length = static_cast<std::size_t>(range.length()),
                     .fin = finish_wanted_ && range.end == end_ && next_ == end_};
    }
    const auto end = std::min({end_, limit_, next_ + credit});
    const bool fin = finish_wanted_ && !fin_sent_ && end == end_;
    if (end <= next_ && !(fin && next_ == end_)) {
        return std::nullopt;
    }
    return Piece{.offset = next_, .length = static_cast<std::size_t>(end - next_), .fin = fin, .fresh = true};
}

void SendStream::on_sent(const Piece& piece) {
    if (piece.fresh) {
        next_ += piece.length;
    } else {
        lost_.erase({piece.offset, piece.offset + piece.length});
    }
    fin_sent_ = fin_sent_ || piece.fin;
}

void SendStream::on_acked(Range bytes, bool fin) {
    fin_acked_ = fin_acked_ || fin;
    if (reset_code_ || bytes.end <= base_) {
        return;
    }
    bytes.begin = std::max(bytes.begin, base_);
    lost_.erase(bytes);
    if (bytes.begin > base_) {
        acked_.insert(bytes);
        return;
    }
    base_ = bytes.end;
    while (!acked_.empty() && acked_.front().begin <= base_) {
        base_ = std::max(base_, acked_.front().end);
        acked_.pop_front();
    }
    if (base_ == end_) {
        store_.clear(base_);
    } else {
        store_.release_below(base_);
    }
}

void SendStream::on_lost(Range bytes, bool fin) {
    if (fin && !fin_acked_) {
        fin_sent_ = false;
    }
    if (reset_code_ || bytes.end <= base_) {
        return;
    }
    bytes.begin = std::max(bytes.begin, base_);
    acked_.for_each_gap(bytes, [this](Range gap) { lost_.insert(gap); });
}

}  // namespace pinhole::transport
