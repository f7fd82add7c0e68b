// What a stranger who got through the handshake can send on a stream: the codec, the frames, and the machines behind
// them.
#include "common/signaling/peer_codec.hpp"
#include "peer/chat/channel.hpp"
#include "peer/files/limits.hpp"
#include "peer/files/path.hpp"
#include "peer/files/receiver.hpp"
#include "peer/files/sender.hpp"

#include <algorithm>
#include <cstdlib>
#include <tuple>

namespace {

using namespace pinhole;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

/// What parses serializes to something that parses to the same bytes again.
void try_codec(ByteView input) {
    if (const auto message = signaling::parse_peer_message(input)) {
        const auto bytes = signaling::serialize(*message);
        const auto again = signaling::parse_peer_message(bytes);
        require(again.has_value());
        require(signaling::serialize(*again) == bytes);
    }
}

void try_chat(ByteView input) {
    chat::Channel channel{chat::Side::acceptor};
    std::ignore = channel.handle_bytes(input);
    while (channel.poll_event()) {}
    std::ignore = channel.poll_output();
}

/// A disk on which everything succeeds; what reaches it must be safe.
void try_receiver(ByteView input) {
    files::Receiver machine;
    while (!input.empty() && machine.wants_bytes() > 0) {
        const auto piece = input.first(std::min<std::size_t>(input.size(), 64));
        input = input.subspan(piece.size());
        if (const auto room = machine.data_room(); room.size() >= piece.size()) {
            std::ranges::copy(piece, room.begin());
            machine.handle_data_read(piece.size());
        } else {
            machine.handle_bytes(piece);
        }
        while (machine.poll_event()) {}
        machine.accept();
        while (auto command = machine.poll_command()) {
            files::SinkResult result;
            if (const auto* header = std::get_if<signaling::EntryHeader>(&*command)) {
                require(files::check_path(header->path).has_value());
            } else if (std::holds_alternative<signaling::EntryTrailer>(*command)) {
                result = files::FileStored{};
            }
            machine.handle_result(std::move(result));
            if (auto* data = std::get_if<Bytes>(&*command)) {
                machine.reuse(std::move(*data));
            }
        }
        require(machine.wants_bytes() <= files::kWindow);
    }
    machine.handle_closed({});
    while (machine.poll_command()) {
        machine.handle_result(files::SinkResult{});
    }
    require(machine.finished());
}

void try_sender(ByteView input) {
    files::Sender machine{{.id = {}, .name = "x", .files = 1, .bytes = 1}};
    machine.handle_bytes(input);
    if (machine.poll_demand() > 0) {
        machine.handle_item(signaling::EntryHeader{.path = {"x"}, .size = 1});
        machine.handle_item(Bytes{1});
        machine.handle_item(signaling::EntryTrailer{.size = 1});
        machine.handle_item(signaling::TransferEnd{});
    }
    machine.handle_bytes(input);
    while (machine.poll_event()) {}
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input{data, size};
    try_codec(input);
    try_chat(input);
    try_receiver(input);
    try_sender(input);
    return 0;
}
