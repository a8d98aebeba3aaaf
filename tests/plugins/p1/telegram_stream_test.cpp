// SPDX-License-Identifier: Apache-2.0
#include "p1/telegram_stream.hpp"

#include "p1/cipher_stream.hpp"
#include "p1/selection.hpp"

#include "plugins/p1/sample.hpp"
#include "plugins/p1/telegram_text.hpp"

#include <doctest/doctest.h>

using namespace things;

namespace {

std::vector<FoundTelegram> decode(std::string_view bytes, TelegramRules rules = {}) {
    std::vector<FoundTelegram> all;
    TelegramStream stream(rules, [&all](FoundTelegram found) { all.push_back(std::move(found)); });
    stream.feed(bytes);
    CHECK(stream.held() <= TelegramStream::max_length);
    stream.flush();
    return all;
}

double value_of(const Telegram& telegram, const Selection& selection) {
    std::vector<Picked> picked = pick(telegram, selection);
    REQUIRE(picked.size() == 1);
    return to_double(to_amount(picked[0].number.value));
}

const std::string power_line = "1-3:0.2.8(50)\n1-0:1.7.0(00.405*kW)\n";

} // namespace

TEST_CASE("the other checksum is refused by default, and learnt when three telegrams in a row fit it") {
    std::string one = sample_bytes("dev-other-crc-x25");
    std::vector<FoundTelegram> once = decode(one);
    REQUIRE(once.size() == 1);
    CHECK(once[0].reason == DamageReason::crc_mismatch);
    CHECK(once[0].computed == 0x89CD);
    std::vector<FoundTelegram> often = decode(one + one + one + one);
    REQUIRE(often.size() == 4);
    CHECK_FALSE(often[2].telegram);
    REQUIRE(often[3].telegram);
    CHECK(often[3].crc == CrcKind::x25);
    TelegramRules strict;
    strict.crc = CrcKind::arc;
    CHECK_FALSE(decode(one + one + one + one, strict).back().telegram);
}

TEST_CASE("with the check switched off a wrong checksum is taken") {
    TelegramRules rules;
    rules.crc = CrcKind::none;
    std::string wrong = make_telegram(power_line);
    wrong[wrong.size() - 3] =
        'x' == wrong[wrong.size() - 3] ? '0' : (wrong[wrong.size() - 3] == '0' ? '1' : '0');
    CHECK_FALSE(decode(wrong)[0].telegram);
    REQUIRE(decode(wrong, rules)[0].telegram);
}

TEST_CASE("the last line end need not come") {
    std::string text = make_telegram(power_line);
    text.resize(text.size() - 2);
    REQUIRE(decode(text).size() == 1);
    CHECK(decode(text)[0].telegram);
    CHECK(decode(text + text)[0].telegram); // the next '/' ends it as well
    CHECK(decode(text + text)[1].telegram);
}

TEST_CASE("lines end in LF alone where a serial server ate the CR") {
    std::string text = "/XXX5TEST\n\n1-0:1.7.0(00.405*kW)\n!";
    text += fmt::format("{:04X}\n", crc16_arc(text));
    REQUIRE(decode(text).size() == 1);
    CHECK(decode(text)[0].telegram);
}

TEST_CASE("a meter that has a checksum never gets by without") {
    std::string good = make_telegram("1-0:1.7.0(00.405*kW)\n");
    std::string bare = "/XXX5TEST\r\n\r\n1-0:1.7.0(00.999*kW)\r\n!\r\n";
    REQUIRE(decode(bare)[0].telegram); // DSMR 2.2 and 3.0
    std::vector<FoundTelegram> both = decode(good + bare);
    REQUIRE(both.size() == 2);
    CHECK_FALSE(both[1].telegram);
    CHECK(both[1].reason == DamageReason::crc_missing);
}

TEST_CASE("a parity error costs a telegram without checksum") {
    std::vector<FoundTelegram> all;
    TelegramStream stream({}, [&all](FoundTelegram found) { all.push_back(std::move(found)); });
    stream.feed("/XXX5TEST\r\n\r\n1-0:1.7.0(00.4");
    stream.mark_damaged();
    stream.feed("5*kW)\r\n!\r\n/XXX5TEST\r\n\r\n1-0:1.7.0(00.406*kW)\r\n!\r\n");
    REQUIRE(all.size() == 2);
    CHECK(all[0].reason == DamageReason::character);
    CHECK_FALSE(all[0].telegram);
    CHECK(all[1].telegram);
}

TEST_CASE("memory stays bounded whatever comes") {
    std::string noise(200'000, '/');
    CHECK(decode(noise).empty());
    std::string endless = "/XXX5TEST\r\n\r\n";
    while (endless.size() < 100'000)
        endless += "1-0:1.7.0(00.405*kW)\r\n";
    std::vector<FoundTelegram> found = decode(endless + make_telegram(power_line));
    REQUIRE(found.size() >= 2);
    CHECK(found.front().reason == DamageReason::too_long);
    CHECK(found.back().telegram);
}

TEST_CASE("a telegram behind the head of an endless one is found at the very edge of the limit") {
    std::string good = make_telegram(power_line);
    for (std::size_t head = TelegramStream::max_length - good.size() - 20;
         head < TelegramStream::max_length + 20; ++head) {
        CAPTURE(head);
        std::string text = "/XXX5CUT\r\n\r\n";
        text.resize(head, 'x');
        std::vector<FoundTelegram> found = decode(text + good);
        REQUIRE(!found.empty());
        REQUIRE(found.back().telegram);
    }
}

TEST_CASE("a wrong key or authentication key gives nothing") {
    std::string bytes = sample_bytes("lu-smarty-encrypted");
    for (auto [key, aad] :
         {std::pair("5A17C0DE0011223344556677DEADBEEE", ""),
          std::pair("5A17C0DE0011223344556677DEADBEEF", "00112233445566778899AABBCCDDEEFE")}) {
        std::vector<FoundTelegram> all;
        CipherStream stream(*MeterKeys::parse(key, aad), {},
                            [&all](FoundTelegram found) { all.push_back(std::move(found)); });
        stream.feed(bytes);
        stream.flush();
        CHECK(all.size() == 3);
        for (const FoundTelegram& found : all)
            CHECK_FALSE(found.telegram);
    }
    CHECK_FALSE(MeterKeys::parse("5A17", ""));
    CHECK_FALSE(MeterKeys::parse("5A17C0DE0011223344556677DEADBEEG", ""));
    CHECK_FALSE(MeterKeys::parse("5A17C0DE0011223344556677DEADBEEF", "3000"));
}

TEST_CASE("the authentication key may be given with or without the 30 in front, or left out in Luxembourg") {
    std::string bytes = sample_bytes("lu-smarty-encrypted");
    for (const char* aad : {"", "00112233445566778899AABBCCDDEEFF", "3000112233445566778899aabbccddeeff"}) {
        int good = 0;
        CipherStream stream(*MeterKeys::parse("5A17C0DE 00112233 44556677 DEADBEEF", aad), {},
                            [&good](const FoundTelegram& found) { good += found.telegram ? 1 : 0; });
        stream.feed("noise \xdb\x08\xdb" + bytes.substr(500) + bytes);
        CHECK(good == 3); // one frame of the cut run (the flipped one is not), two of the whole
    }
}

TEST_CASE("points find their value by code, by name and by medium") {
    Telegram telegram = *decode(sample_bytes("nl-dsmr50-3ph-export-4mbus"))[0].telegram;
    CHECK(value_of(telegram, {"1-0:2.7.0", "", "", 0}) == 6.318);
    CHECK(value_of(telegram, {"", "volumeGas", "", 0}) == 9812.556);
    CHECK(value_of(telegram, {"", "", "gas", 0}) == 9812.556);
    CHECK(value_of(telegram, {"0-2:24.2.1", "", "", 0}) == 9812.556);
    CHECK(value_of(telegram, {"", "", "heat", 0}) == 83.41);
    CHECK(value_of(telegram, {"", "", "electricity", 4}) == 7702.114);
    CHECK(pick(telegram, {"", "", "electricity", 1}).empty());
    CHECK(pick(telegram, {"", "gasMeterId", "", 0})[0].text == "G9999000000000502");
    CHECK(value_of(telegram, {"", "energyImport", "", 0}) ==
          5735.317); // no total is sent: the sum of the tariffs
    CHECK(value_of(telegram, {"1-0:2.8.0", "", "", 0}) == 6816.465);
    CHECK(value_of(telegram, {"", "powerNet", "", 0}) == -6.318);
    std::vector<Picked> failures = pick(telegram, {"", "powerFailure", "", 0});
    REQUIRE(failures.size() == 3);
    CHECK(failures[0].capture == 1645195442);
    CHECK(failures[0].number.value.mantissa == 33120);
}

TEST_CASE("what a meter never measured is not there") {
    Telegram telegram = *decode(sample_bytes("nl-dsmr50-null-times"))[0].telegram;
    CHECK(pick(telegram, {"", "volumeGas", "", 0}).empty());
    CHECK(pick(telegram, {"", "", "water", 0}).empty());
    CHECK(pick(telegram, {"", "powerFailure", "", 0}).empty());
    CHECK(value_of(telegram, {"", "power", "", 0}) == 0.071);
}

TEST_CASE("channel 1 of electricity counts as channel 0") {
    Telegram telegram = *decode(make_telegram("1-1:1.8.1(000012.500*kWh)\n"))[0].telegram;
    CHECK(value_of(telegram, {"1-0:1.8.1", "", "", 0}) == 12.5);
    CHECK(value_of(telegram, {"", "energyImportT1", "", 0}) == 12.5);
}

TEST_CASE("of two gas meters the one that was read last counts, unless a channel is given") {
    std::string lines = "0-1:24.1.0(003)\n0-1:24.2.1(200101120000W)(00111.000*m3)\n"
                        "0-2:24.1.0(003)\n0-2:24.2.1(260101120000W)(00222.000*m3)\n";
    Telegram telegram = *decode(make_telegram(lines))[0].telegram;
    CHECK(value_of(telegram, {"", "", "gas", 0}) == 222);
    CHECK(value_of(telegram, {"", "", "gas", 1}) == 111);
    CHECK(value_of(telegram, {"0-n:24.2.1", "", "", 0}) == 222);
}

TEST_CASE("units that are glued on or left out are read, implausible values are not") {
    std::string lines =
        "1-0:1.7.0(01.234kW)\n1-0:1.8.0(000010.500)\n1-0:13.7.0(4.556)\n1-0:32.7.0(nonsense)\n"
        "1-0:1.8.1(000001.000*kWh)\n1-0:1.8.1(000002.000*kWh)\n9-9:1.2.3(5*apples)\n";
    Telegram telegram = *decode(make_telegram(lines))[0].telegram;
    CHECK(value_of(telegram, {"", "power", "", 0}) == 1.234);
    CHECK(pick(telegram, {"", "energyImport", "", 0})[0].number.scale->primary == "J");
    CHECK(pick(telegram, {"", "powerFactor", "", 0}).empty());
    CHECK(pick(telegram, {"", "electricPotentialL1", "", 0}).empty());
    CHECK(value_of(telegram, {"", "energyImportT1", "", 0}) == 2);
    CHECK(telegram.repeated == 1);
    CHECK(telegram.unreadable == 1);
    CHECK(value_of(telegram, {"9-9:1.2.3", "", "", 0}) == 5); // unknown objects can be asked for by code
}
