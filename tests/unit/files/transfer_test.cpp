// The two state machines against each other, with a source and a sink in memory.
#include "common/signaling/peer_codec.hpp"
#include "peer/files/file_hash.hpp"
#include "peer/files/path.hpp"
#include "tests/unit/files/loopback.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::files {
namespace {

using test::count;
using test::find;
using test::Loopback;

/// Files of given contents, cut into chunks of 1000 bytes.
class MemorySource final : public Source {
  public:
    explicit MemorySource(std::vector<std::string> contents) {
        offer_.id = test::transfer_id();
        offer_.name = "memory";
        offer_.files = static_cast<std::uint32_t>(contents.size());
        for (std::size_t i = 0; i < contents.size(); ++i) {
            offer_.bytes += contents[i].size();
            add(std::to_string(i), contents[i]);
        }
        items_.push_back(signaling::TransferEnd{});
    }

    [[nodiscard]] const signaling::TransferOffer& offer() const override { return offer_; }

    [[nodiscard]] std::size_t size() const { return items_.size(); }

    std::size_t fail_at = ~std::size_t{0};

  private:
    [[nodiscard]] Result<SourceItem> read_next(Bytes) override {
        if (next_ == fail_at) {
            return fail(Errc::changed_while_reading, "memory");
        }
        return next_ < items_.size() ? items_[next_++] : Result<SourceItem>{fail(Errc::unreadable)};
    }

    void add(const std::string& name, std::string_view content) {
        items_.push_back(signaling::EntryHeader{.path = {name}, .size = content.size()});
        FileHash hash;
        for (std::string_view rest = content; !rest.empty();
             rest.remove_prefix(std::min<std::size_t>(rest.size(), 1000))) {
            const auto chunk = as_bytes(rest.substr(0, 1000));
            hash.data(chunk);
            items_.push_back(to_bytes(chunk));
        }
        items_.push_back(signaling::EntryTrailer{.size = content.size(), .hash = hash.finish()});
    }

    signaling::TransferOffer offer_;
    std::vector<SourceItem> items_;
    std::size_t next_ = 0;
};

class MemorySink final : public Sink {
  public:
    [[nodiscard]] Result<SinkResult> run(const SinkCommand& command) override {
        if (std::holds_alternative<Discard>(command)) {
            discarded = true;
            return std::nullopt;
        }
        if (fails) {
            return fail(*fails, "memory");
        }
        completed = completed || std::holds_alternative<Complete>(command);
        if (const auto* header = std::get_if<signaling::EntryHeader>(&command)) {
            name_ = join_path(header->path);
            content_.clear();
        } else if (const auto* bytes = std::get_if<Bytes>(&command)) {
            content_ += as_text(*bytes);
        } else if (const auto* trailer = std::get_if<signaling::EntryTrailer>(&command)) {
            files.push_back(content_);
            return FileStored{.path = name_, .bytes = content_.size(), .hash = trailer->hash};
        }
        return std::nullopt;
    }

    std::vector<std::string> files;
    std::optional<Errc> fails;
    bool completed = false;
    bool discarded = false;

  private:
    std::string name_;
    std::string content_;
};

std::vector<std::string> sample_contents() {
    SeededRng rng{11};
    std::vector<std::string> contents;
    for (const std::size_t size : {0UZ, 1UZ, 999UZ, 1000UZ, 25'000UZ, 0UZ}) {
        std::string content(size, '\0');
        rng.fill(ByteSpan{reinterpret_cast<std::uint8_t*>(content.data()), content.size()});
        contents.push_back(std::move(content));
    }
    return contents;
}

TEST(Transfer, ArrivesWholeUnderAnySplitAndOrder) {
    const auto contents = sample_contents();
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        MemorySource source{contents};
        MemorySink sink;
        Loopback loopback{source, sink, seed};
        loopback.run();
        ASSERT_TRUE(loopback.done());
        EXPECT_EQ(sink.files, contents);
        EXPECT_TRUE(sink.completed);
        EXPECT_EQ(count<FileStored>(loopback.sender_events), contents.size());
        EXPECT_EQ(count<FileStored>(loopback.receiver_events), contents.size());
        EXPECT_EQ(find<Done>(loopback.sender_events)->bytes, source.offer().bytes);
        EXPECT_EQ(loopback.sender.progress().bytes_done, source.offer().bytes);
        EXPECT_EQ(loopback.receiver.progress().bytes_done, source.offer().bytes);
        EXPECT_EQ(loopback.receiver.progress().files_done, contents.size());
    }
}

TEST(Transfer, EndsOnBothSidesWhereverEitherCancels) {
    const auto contents = sample_contents();
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        MemorySource source{contents};
        MemorySink sink;
        Loopback loopback{source, sink, seed};
        if (!loopback.run_steps(seed / 2)) {
            break;
        }
        const bool by_sender = seed % 2 == 0;
        by_sender ? loopback.sender.cancel() : loopback.receiver.cancel();
        loopback.run();
        EXPECT_TRUE(loopback.sender.finished());
        const auto& own = by_sender ? loopback.sender_error() : loopback.receiver_error();
        const auto& other = by_sender ? loopback.receiver_error() : loopback.sender_error();
        // When everything was in place before the news came, the other side is done.
        EXPECT_TRUE(own == Errc::cancelled || !own);
        EXPECT_TRUE(other == Errc::cancelled_by_peer || !other);
        if (loopback.receiver_error()) {
            EXPECT_FALSE(sink.completed && !loopback.sender_error());
        }
    }
}

TEST(Transfer, ASenderThatFailsSaysWhyAndDropsWhatIsQueued) {
    for (std::size_t at = 0; at + 1 < MemorySource{sample_contents()}.size(); ++at) {
        SCOPED_TRACE(at);
        MemorySource source{sample_contents()};
        source.fail_at = at;
        MemorySink sink;
        Loopback loopback{source, sink, at};
        loopback.run();
        EXPECT_EQ(loopback.sender_error(), Errc::changed_while_reading);
        EXPECT_EQ(loopback.receiver_error(), Errc::changed_while_reading);
        EXPECT_TRUE(sink.discarded);
        EXPECT_TRUE(loopback.sender.finished() && loopback.receiver.finished());
    }
}

TEST(Transfer, ARefusalReachesTheSender) {
    MemorySource source{sample_contents()};
    MemorySink sink;
    Loopback loopback{source, sink, 1};
    loopback.refusal = signaling::RefuseReason::declined;
    loopback.run();
    EXPECT_EQ(loopback.sender_error(), Errc::refused);
    EXPECT_EQ(loopback.receiver_error(), Errc::refused);
    EXPECT_TRUE(loopback.sender.finished() && loopback.receiver.finished());
    EXPECT_FALSE(sink.discarded);
}

TEST(Transfer, ADiskWithoutRoomRefusesBeforeAnythingIsSent) {
    MemorySource source{sample_contents()};
    MemorySink sink;
    sink.fails = Errc::disk_full;
    Loopback loopback{source, sink, 1};
    loopback.run();
    EXPECT_EQ(loopback.sender_error(), Errc::disk_full);
    EXPECT_EQ(loopback.receiver_error(), Errc::disk_full);
    EXPECT_EQ(find<Accepted>(loopback.sender_events), nullptr);
}

TEST(Transfer, ADiskThatFillsUpIsToldToTheSender) {
    MemorySource source{sample_contents()};
    MemorySink sink;
    Loopback loopback{source, sink, 1};
    while (find<FileStored>(loopback.receiver_events) == nullptr) {
        ASSERT_TRUE(loopback.step());
    }
    sink.fails = Errc::disk_full;
    loopback.run();
    EXPECT_EQ(loopback.sender_error(), Errc::disk_full);
    EXPECT_EQ(loopback.receiver_error(), Errc::disk_full);
    EXPECT_TRUE(sink.discarded);
}

TEST(Transfer, AConnectionThatBreaksEndsBothSides) {
    MemorySource source{sample_contents()};
    MemorySink sink;
    Loopback loopback{source, sink, 1};
    ASSERT_TRUE(loopback.run_steps(20));
    const Error gone{.code = Errc::peer_gone, .detail = {}};
    loopback.sender.handle_closed(gone);
    loopback.receiver.handle_closed(gone);
    loopback.run();
    EXPECT_TRUE(loopback.sender.finished() && loopback.receiver.finished());
    loopback.step();
    EXPECT_TRUE(sink.discarded);
}

TEST(Receiver, PushesBackWhenTheDiskIsSlow) {
    Receiver receiver;
    signaling::TransferOffer offer{.id = test::transfer_id(), .name = "big", .files = 1, .bytes = 1U << 30};
    receiver.handle_bytes(signaling::frame(offer));
    receiver.accept();
    ASSERT_TRUE(receiver.poll_command());
    receiver.handle_result(SinkResult{});
    receiver.handle_bytes(signaling::frame(signaling::EntryHeader{.path = {"big"}, .size = 1U << 30}));

    Bytes data(kChunkSize);
    std::size_t taken = 0;
    while (receiver.wants_bytes() > 0) {
        receiver.handle_bytes(signaling::data_frame_header(data.size()));
        receiver.handle_bytes(data);
        taken += data.size();
    }
    EXPECT_LE(taken, kWindow);
    ASSERT_TRUE(receiver.poll_command());  // the header
    ASSERT_TRUE(receiver.poll_command());
    receiver.handle_result(SinkResult{});
    receiver.handle_result(SinkResult{});
    EXPECT_GE(receiver.wants_bytes(), kChunkSize);
}

TEST(Sender, AsksTheDiskForNoMoreThanItsWindow) {
    Sender sender{{.id = test::transfer_id(), .name = "big", .files = 1, .bytes = 1U << 30}};
    EXPECT_EQ(sender.poll_demand(), 0U);
    sender.handle_bytes(signaling::frame(signaling::TransferAccept{}));
    sender.consume_output(sender.output().size());
    sender.consume_output(sender.output().size());
    auto owed = sender.poll_demand();
    EXPECT_EQ(owed, kWindow / kChunkSize);
    EXPECT_EQ(sender.poll_demand(), 0U);
    sender.handle_item(signaling::EntryHeader{.path = {"big"}, .size = 1U << 30});
    std::size_t given = 0;
    for (--owed; owed + sender.poll_demand() > 0 && given < 100; --owed, ++given) {
        sender.handle_item(Bytes(kChunkSize));
    }
    EXPECT_LE(given, kWindow / kChunkSize);
    EXPECT_EQ(sender.poll_demand(), 0U);
}

TEST(Sender, AsksTheDiskForSeveralChunksAtOnce) {
    Sender sender{{.id = test::transfer_id(), .name = "big", .files = 1, .bytes = 1U << 30}};
    sender.handle_bytes(signaling::frame(signaling::TransferAccept{}));
    auto owed = sender.poll_demand();
    sender.handle_item(signaling::EntryHeader{.path = {"big"}, .size = 1U << 30});
    for (--owed; owed > 0; --owed) {
        sender.handle_item(Bytes(kChunkSize));
    }
    std::vector<std::size_t> asked;
    while (!sender.output().empty()) {
        sender.consume_output(sender.output().size());
        if (const auto demand = sender.poll_demand(); demand > 0) {
            asked.push_back(demand);
        }
    }
    EXPECT_GE(asked.size(), 3U) << "long before the last one has left";
    EXPECT_GE(std::ranges::min(asked), kDemandStep);
}

TEST(Sender, ReadsIntoTheBuffersThatHaveLeft) {
    Sender sender{{.id = test::transfer_id(), .name = "big", .files = 1, .bytes = 1U << 30}};
    sender.handle_bytes(signaling::frame(signaling::TransferAccept{}));
    EXPECT_GT(sender.poll_demand(), 0U);
    sender.handle_item(signaling::EntryHeader{.path = {"big"}, .size = 1U << 30});
    sender.handle_item(Bytes(kChunkSize));
    EXPECT_EQ(sender.take_buffer().capacity(), 0U);
    while (!sender.output().empty()) {
        sender.consume_output(sender.output().size());
    }
    EXPECT_GE(sender.take_buffer().capacity(), kChunkSize);
    EXPECT_EQ(sender.take_buffer().capacity(), 0U);
}

TEST(Receiver, TakesFileDataWhereItStays) {
    Receiver receiver;
    receiver.handle_bytes(signaling::frame(
        signaling::TransferOffer{.id = test::transfer_id(), .name = "a", .files = 1, .bytes = 2 * kChunkSize}));
    receiver.accept();
    ASSERT_TRUE(receiver.poll_command());
    receiver.handle_result(SinkResult{});
    receiver.handle_bytes(signaling::frame(signaling::EntryHeader{.path = {"a"}, .size = 2 * kChunkSize}));
    ASSERT_TRUE(receiver.poll_command());
    receiver.handle_result(SinkResult{});
    const std::uint8_t* memory = nullptr;
    for (int round = 0; round < 2; ++round) {
        EXPECT_TRUE(receiver.data_room().empty());
        receiver.handle_bytes(signaling::data_frame_header(kChunkSize));
        receiver.handle_bytes(Bytes(100, 1));
        const auto room = receiver.data_room();
        ASSERT_EQ(room.size(), kChunkSize - 100);
        std::ranges::fill(room, 2);
        receiver.handle_data_read(room.size());
        auto command = receiver.poll_command();
        ASSERT_TRUE(command);
        auto& data = std::get<Bytes>(*command);
        EXPECT_EQ(data.size(), kChunkSize);
        EXPECT_EQ(data[99], 1);
        EXPECT_EQ(data[100], 2);
        EXPECT_EQ(data.back(), 2);
        if (memory != nullptr) {
            EXPECT_EQ(data.data(), memory);
        }
        memory = data.data();
        receiver.handle_result(SinkResult{});
        receiver.reuse(std::move(data));
    }
}

class BadPeer : public testing::Test {
  protected:
    /// A receiver that has agreed to one file of 10 bytes.
    void SetUp() override {
        receiver.handle_bytes(signaling::frame(
            signaling::TransferOffer{.id = test::transfer_id(), .name = "a", .files = 1, .bytes = 10}));
        receiver.accept();
        ASSERT_TRUE(receiver.poll_command());
        receiver.handle_result(SinkResult{});
        while (receiver.poll_event()) {}
        receiver.consume_output(receiver.output().size());
    }

    void send(const signaling::PeerMessage& message) { receiver.handle_bytes(signaling::frame(message)); }

    void send_data(std::size_t size) {
        receiver.handle_bytes(signaling::data_frame_header(size));
        receiver.handle_bytes(Bytes(size));
    }

    std::optional<std::error_code> error() {
        while (const auto event = receiver.poll_event()) {
            if (const auto* failed = std::get_if<Failed>(&*event)) {
                return failed->error.code;
            }
        }
        return std::nullopt;
    }

    const signaling::EntryHeader header{.path = {"a"}, .size = 10};
    Receiver receiver;
};

TEST_F(BadPeer, DataWithoutAFile) {
    send_data(1);
    EXPECT_EQ(error(), Errc::protocol);
}

TEST_F(BadPeer, MoreDataThanTheFileHas) {
    send(header);
    send_data(11);
    EXPECT_EQ(error(), Errc::protocol);
}

TEST_F(BadPeer, MoreZerosThanTheFileHas) {
    send(header);
    send(signaling::ZeroRun{~std::uint64_t{0}});
    EXPECT_EQ(error(), Errc::protocol);
}

TEST_F(BadPeer, AFileThatEndsEarly) {
    send(header);
    send_data(9);
    send(signaling::EntryTrailer{.size = 9});
    EXPECT_EQ(error(), Errc::protocol);
}

TEST_F(BadPeer, AFileInsideAFile) {
    send(header);
    send(header);
    EXPECT_EQ(error(), Errc::protocol);
}

TEST_F(BadPeer, AnEndInsideAFile) {
    send(header);
    send(signaling::TransferEnd{});
    EXPECT_EQ(error(), Errc::protocol);
}

TEST_F(BadPeer, FarMoreBytesThanWereOffered) {
    send(signaling::EntryHeader{.path = {"a"}, .size = 1ULL << 40});
    send(signaling::ZeroRun{1ULL << 39});
    EXPECT_EQ(error(), Errc::protocol);
}

TEST_F(BadPeer, FarMoreFilesThanWereOffered) {
    for (std::uint64_t i = 0; i <= with_growth(1, kEntryGrowth); ++i) {
        send(signaling::EntryHeader{.path = {std::to_string(i)}, .size = 0});
        send(signaling::EntryTrailer{});
    }
    EXPECT_EQ(error(), Errc::too_many_files);
}

TEST_F(BadPeer, AnotherOffer) {
    send(signaling::TransferOffer{.id = test::transfer_id(), .name = "b", .files = 1});
    EXPECT_EQ(error(), Errc::protocol);
}

TEST_F(BadPeer, IsToldWhatItDidAndHeardNoMore) {
    send_data(1);
    signaling::FrameReader reader;
    auto output = receiver.output();
    const auto frame = reader.read(output);
    ASSERT_TRUE(frame && *frame);
    const auto& abort = std::get<signaling::TransferAbort>(std::get<signaling::PeerMessage>(**frame));
    EXPECT_EQ(abort.reason, signaling::AbortReason::protocol);
    EXPECT_EQ(receiver.wants_bytes(), 0U);
}

TEST(Receiver, RefusesDataBeforeTheOfferWasAccepted) {
    Receiver receiver;
    receiver.handle_bytes(
        signaling::frame(signaling::TransferOffer{.id = test::transfer_id(), .name = "a", .files = 1, .bytes = 10}));
    ASSERT_TRUE(receiver.poll_event());
    receiver.handle_bytes(signaling::frame(signaling::EntryHeader{.path = {"a"}, .size = 10}));
    EXPECT_EQ(std::get<Failed>(*receiver.poll_event()).error.code, Errc::protocol);
    EXPECT_FALSE(receiver.poll_command());
}

TEST(Receiver, RefusesAnOfferOfTooManyFiles) {
    Receiver receiver;
    receiver.handle_bytes(signaling::frame(
        signaling::TransferOffer{.id = test::transfer_id(), .name = "a", .files = kMaxEntries, .directories = 1}));
    EXPECT_EQ(std::get<Failed>(*receiver.poll_event()).error.code, Errc::too_many_files);
}

TEST(Sender, RefusesConfirmationsOfFilesThatWereNotSent) {
    for (const signaling::PeerMessage& message :
         {signaling::PeerMessage{signaling::EntryStored{0}}, signaling::PeerMessage{signaling::TransferStored{}}}) {
        Sender sender{{.id = test::transfer_id(), .name = "a", .files = 1, .bytes = 10}};
        sender.handle_bytes(signaling::frame(signaling::TransferAccept{}));
        ASSERT_TRUE(sender.poll_event());
        sender.handle_bytes(signaling::frame(message));
        EXPECT_EQ(std::get<Failed>(*sender.poll_event()).error.code, Errc::protocol);
    }
}

TEST(Sender, StopsAFolderThatGrowsWithoutEnd) {
    Sender sender{{.id = test::transfer_id(), .name = "a", .files = 1, .bytes = 10}};
    sender.handle_bytes(signaling::frame(signaling::TransferAccept{}));
    ASSERT_TRUE(sender.poll_event());
    EXPECT_GT(sender.poll_demand(), 0U);
    sender.handle_item(signaling::EntryHeader{.path = {"a"}, .size = 1ULL << 40});
    EXPECT_EQ(std::get<Failed>(*sender.poll_event()).error.code, Errc::changed_while_reading);
}

}  // namespace
}  // namespace pinhole::files
