// What the stream calls of a connection can answer.
#pragma once

#include <system_error>

namespace pinhole::transport {

enum class TransportErrc {
    closed = 1,       ///< the connection has ended
    stream_limit,     ///< the peer allows no further stream now
    unknown_stream,   ///< never opened, or over
    stream_finished,  ///< a write after finish() or reset()
    stream_stopped,   ///< the peer does not want to read any more
    stream_reset      ///< the peer gave up sending
};

std::error_code make_error_code(TransportErrc code);

}  // namespace pinhole::transport

template <>
struct std::is_error_code_enum<pinhole::transport::TransportErrc> : std::true_type {};
