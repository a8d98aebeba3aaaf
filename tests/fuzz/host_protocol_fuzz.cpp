// SPDX-License-Identifier: Apache-2.0
#include "polling/host_protocol.hpp"

#include <cstdint>
#include <cstdlib>

// The isolation protocol: any bytes, in any pieces. What is accepted must come out the same when written
// again.

namespace {

using namespace things;

template <typename Value>
void round_trip(std::string_view payload) {
    Value value{};
    if (!decode(payload, value))
        return;
    const std::string again = encode(value);
    Value second{};
    if (!decode(again, second) || encode(second) != again)
        std::abort();
}

void any_type(std::string_view payload) {
    round_trip<SourceWork>(payload);
    round_trip<PollFrame>(payload);
    round_trip<WriteFrame>(payload);
    round_trip<DiscoverFrame>(payload);
    round_trip<GarbageFrame>(payload);
    round_trip<HelloFrame>(payload);
    round_trip<CallResult>(payload);
    round_trip<std::vector<RawReading>>(payload);
    round_trip<SourceEvent>(payload);
    round_trip<SettingProblem>(payload);
    double number = 0;
    std::int64_t time = 0;
    (void)decode(payload, number);
    (void)decode(payload, time);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t piece = 1 + static_cast<unsigned char>(bytes[0]);
    const std::string_view stream = bytes.substr(1);
    any_type(stream);
    HostFrameReader reader(4096);
    for (std::size_t at = 0; at < stream.size(); at += piece) {
        reader.feed(stream.substr(at, piece));
        while (auto frame = reader.next()) {
            if (frame->payload.size() > 4096)
                std::abort();
            any_type(frame->payload);
        }
    }
    return 0;
}
