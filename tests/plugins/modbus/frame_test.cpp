// SPDX-License-Identifier: Apache-2.0
#include "modbus/frame.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace things;

namespace {

using Buffer = std::vector<std::uint8_t>;

class Random {
public:
    explicit Random(unsigned seed) : engine_(seed) {}
    unsigned operator()() { return static_cast<unsigned>(engine_()); }

private:
    std::mt19937 engine_;
};

Buffer copy(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

const BusRequest read_one{1, 3, 100, 1};
const Buffer answer_215{0x01, 0x03, 0x02, 0x00, 0xD7, 0xF8, 0x1A};

bool is_data(const Buffer& bytes, const BusRequest& request) {
    return find_rtu_answer(bytes, request).kind == ModbusAnswer::Kind::data;
}

} // namespace

TEST_CASE("requests as they go over the wire") {
    CHECK(copy(rtu_frame(read_one).bytes()) == Buffer{0x01, 0x03, 0x00, 0x64, 0x00, 0x01, 0xC5, 0xD5});
    CHECK(copy(tcp_frame(read_one, 0x1234).bytes()) ==
          Buffer{0x12, 0x34, 0, 0, 0, 6, 0x01, 0x03, 0x00, 0x64, 0x00, 0x01});
    CHECK(copy(tcp_frame({1, 5, 3, 1, {1}}, 1).bytes()) == Buffer{0, 1, 0, 0, 0, 6, 1, 5, 0, 3, 0xFF, 0});
    CHECK(copy(tcp_frame({1, 6, 3, 1, {0x1234}}, 1).bytes()) ==
          Buffer{0, 1, 0, 0, 0, 6, 1, 6, 0, 3, 0x12, 0x34});
    CHECK(copy(tcp_frame({1, 15, 3, 9, {1, 0, 1, 0, 0, 0, 0, 0, 1}}, 1).bytes()) ==
          Buffer{0, 1, 0, 0, 0, 9, 1, 15, 0, 3, 0, 9, 2, 0x05, 0x01});
    CHECK(copy(tcp_frame({1, 16, 3, 2, {0x1234, 0x5678}}, 1).bytes()) ==
          Buffer{0, 1, 0, 0, 0, 11, 1, 16, 0, 3, 0, 2, 4, 0x12, 0x34, 0x56, 0x78});
}

TEST_CASE("an RTU answer is found with its data") {
    const ModbusAnswer answer = find_rtu_answer(answer_215, read_one);
    REQUIRE(answer.kind == ModbusAnswer::Kind::data);
    CHECK(payload_words(answer.payload, read_one) == std::vector<std::uint16_t>{215});
    for (std::size_t size = 0; size < answer_215.size(); ++size)
        CHECK_FALSE(
            is_data({answer_215.begin(), answer_215.begin() + static_cast<std::ptrdiff_t>(size)}, read_one));
}

TEST_CASE("garbage and the echo of the request before an answer do no harm") {
    Buffer bytes{0x01, 0x03, 0xFF, 0x00, 0x01};
    bytes.insert(bytes.end(), answer_215.begin(), answer_215.end());
    CHECK(is_data(bytes, read_one));
    Buffer echoed = copy(rtu_frame(read_one).bytes());
    CHECK(diagnose_rtu(echoed, read_one).kind == Misfit::Kind::echo);
    echoed.insert(echoed.end(), answer_215.begin(), answer_215.end());
    CHECK(is_data(echoed, read_one));
}

TEST_CASE("an answer of another unit, function or length is none") {
    CHECK_FALSE(is_data(answer_215, {2, 3, 100, 1}));
    CHECK_FALSE(is_data(answer_215, {1, 4, 100, 1}));
    CHECK_FALSE(is_data(answer_215, {1, 3, 100, 2}));
    CHECK(diagnose_rtu(answer_215, {2, 3, 100, 1}).kind == Misfit::Kind::other_unit);
    CHECK(diagnose_rtu(answer_215, {2, 3, 100, 1}).came == 1);
    CHECK(diagnose_rtu(answer_215, {1, 3, 100, 2}).kind == Misfit::Kind::other_length);
    Buffer damaged = answer_215;
    damaged[4] ^= 1;
    CHECK_FALSE(is_data(damaged, read_one));
    CHECK(diagnose_rtu(damaged, read_one).kind == Misfit::Kind::damaged);
    CHECK(diagnose_rtu({}, read_one).kind == Misfit::Kind::silence);
}

TEST_CASE("an exception carries its code") {
    const Buffer bytes{0x01, 0x83, 0x02, 0xC0, 0xF1};
    const ModbusAnswer answer = find_rtu_answer(bytes, read_one);
    CHECK(answer.kind == ModbusAnswer::Kind::exception);
    CHECK(answer.code == 2);
}

TEST_CASE("a flipped bit or two never makes a wrong value") {
    Random random(7);
    int found = 0;
    for (int i = 0; i < 200000; ++i) {
        Buffer bytes = answer_215;
        const unsigned flips = 1 + random() % 3;
        for (unsigned k = 0; k < flips; ++k)
            bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
        const ModbusAnswer answer = find_rtu_answer(bytes, read_one);
        if (answer.kind == ModbusAnswer::Kind::data) {
            ++found; // three flips may cancel each other out
            REQUIRE(payload_words(answer.payload, read_one)[0] == 215);
        }
    }
    CHECK(found < 2000);
}

TEST_CASE("TCP answers are told apart by their transaction") {
    Buffer late{0, 1, 0, 0, 0, 5, 1, 3, 2, 0, 1};
    const Buffer good{0, 2, 0, 0, 0, 5, 1, 3, 2, 0, 215};
    CHECK(find_tcp_answer(late, read_one, 2).kind == ModbusAnswer::Kind::incomplete);
    CHECK(find_tcp_answer(late, read_one, 2).consumed == late.size());
    late.insert(late.end(), good.begin(), good.end());
    const ModbusAnswer answer = find_tcp_answer(late, read_one, 2);
    REQUIRE(answer.kind == ModbusAnswer::Kind::data);
    CHECK(answer.foreign == 1);
    CHECK(payload_words(answer.payload, read_one) == std::vector<std::uint16_t>{215});
    CHECK(find_tcp_answer(good, {2, 3, 100, 1}, 2).kind == ModbusAnswer::Kind::mismatch);
    CHECK(find_tcp_answer(good, {1, 4, 100, 1}, 2).kind == ModbusAnswer::Kind::mismatch);
    CHECK(find_tcp_answer(good, {1, 3, 100, 2}, 2).kind == ModbusAnswer::Kind::mismatch);
    for (const std::uint8_t length : Buffer{0, 1, 2, 255}) {
        Buffer bad = good;
        bad[5] = length;
        CHECK(find_tcp_answer(bad, read_one, 2).kind == ModbusAnswer::Kind::mismatch);
    }
}

TEST_CASE("whatever comes, the parsers stay within it") {
    Random random(8);
    for (int i = 0; i < 20000; ++i) {
        Buffer bytes(random() % 300);
        for (std::uint8_t& byte : bytes)
            byte = static_cast<std::uint8_t>(random() % 4 == 0 ? random() : random() % 8);
        const BusRequest request{1, static_cast<std::uint8_t>(1 + random() % 4), 0,
                                 static_cast<std::uint16_t>(1 + random() % 125)};
        for (const ModbusAnswer& answer :
             {find_rtu_answer(bytes, request), find_tcp_answer(bytes, request, 0)}) {
            CHECK(answer.consumed <= bytes.size());
            if (answer.kind == ModbusAnswer::Kind::data)
                CHECK(payload_words(answer.payload, request).size() == request.count);
        }
        static_cast<void>(diagnose_rtu(bytes, request));
    }
}
