// SPDX-License-Identifier: Apache-2.0
#include "p1/cipher_stream.hpp"
#include "p1/mode_c.hpp"
#include "p1/object_names.hpp"
#include "p1/selection.hpp"
#include "p1/telegram_stream.hpp"

#include "link/checksum.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

// Whatever comes over the line: telegrams found do not depend on how the bytes were cut, memory is bounded,
// every object can be picked and converted. Bytes behind the first are the stream; the first says how it is
// cut and read. With bit 7 of it the body is given a checksum that fits, so that the decoder is reached.
using namespace things;

namespace {

void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

struct Summary {
    std::size_t good = 0, bad = 0, objects = 0;
    std::uint64_t places = 0;
    friend bool operator==(const Summary&, const Summary&) = default;
};

void use(const Telegram& telegram) {
    for (const char* name : {"power", "energyImport", "volumeGas", "powerFailure", "powerDemandHistory",
                             "powerNet", "message", "gasMeterId", "currentLimit"})
        for (const Picked& picked : pick(telegram, {"", name, "", 0}))
            if (picked.number.scale != nullptr)
                (void)convert(picked.number.value, *picked.number.scale, *find_scale("Wh"));
    (void)pick(telegram, {"1-0:1.7.0", "", "", 0});
    (void)pick(telegram, {"", "", "gas", 0});
    (void)telegram.requires_crc();
}

Summary run(std::string_view bytes, std::size_t piece, CrcKind crc) {
    Summary summary;
    TelegramRules rules;
    rules.crc = crc;
    TelegramStream stream(rules, [&summary](const FoundTelegram& found) {
        summary.places += found.offset * 31 + found.length;
        ++(found.telegram ? summary.good : summary.bad);
        if (found.telegram) {
            use(*found.telegram);
            summary.objects += found.telegram->objects.size();
        }
    });
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        stream.feed(bytes.substr(at, piece));
        if (stream.held() > TelegramStream::max_length)
            fail("the stream holds too much");
    }
    stream.flush();
    return summary;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2)
        return 0;
    std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    auto crc = static_cast<CrcKind>(data[0] & 3U);
    if ((data[0] & 0x80U) != 0) {
        bytes = "/XXX5F\r\n\r\n" + bytes + "\r\n!";
        char digits[8];
        std::snprintf(digits, sizeof digits, "%04X\r\n", static_cast<unsigned>(crc16_arc(bytes)));
        bytes += digits;
    }
    if (run(bytes, bytes.size(), crc) != run(bytes, 1 + (data[0] & 0x1cU), crc))
        fail("the result depends on how the stream was cut");
    static const MeterKeys keys = *MeterKeys::parse("5A17C0DE0011223344556677DEADBEEF", "");
    CipherStream encrypted(keys, {}, [](const FoundTelegram&) {});
    encrypted.feed(bytes);
    encrypted.flush();
    (void)parse_identity(bytes);
    (void)check_block(bytes, static_cast<char>(data[0]));
    return 0;
}
