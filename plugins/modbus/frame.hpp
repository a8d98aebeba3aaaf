// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

// Modbus frames, RTU and TCP: requests are built, answers are found in what was received. Pure; every byte of
// an answer comes from outside and is believed only if unit, function, length (and for TCP the transaction)
// are those of the request, and the checksum is right.
//   RTU  unit function data... crc-low crc-high          TCP  transaction(2) 0 0 length(2) unit function
//   data...
// Example, read holding register 100 of unit 1: 01 03 00 64 00 01 C5 D5, answer 01 03 02 00 D7 F8 1A.
namespace things {

using Bytes = std::span<const std::uint8_t>;

struct BusRequest {
    std::uint8_t unit = 1;
    std::uint8_t function = 3; ///< 1 to 6, 15, 16
    std::uint16_t address = 0;
    std::uint16_t count = 1;             ///< registers or coils
    std::vector<std::uint16_t> values{}; ///< of writes: registers, or 0 and 1 for coils
};

/// A frame ready to be sent.
class BusFrame {
public:
    void push(std::uint8_t byte) { bytes_[size_++] = byte; }
    void push_word(std::uint16_t word) {
        push(static_cast<std::uint8_t>(word >> 8));
        push(static_cast<std::uint8_t>(word & 0xFF));
    }
    [[nodiscard]] Bytes bytes() const { return {bytes_.data(), size_}; }

private:
    std::array<std::uint8_t, 272> bytes_{};
    std::size_t size_ = 0;
};

std::uint16_t crc16(Bytes bytes);
BusFrame rtu_frame(const BusRequest& request);
BusFrame tcp_frame(const BusRequest& request, std::uint16_t transaction);
/// Bytes of the good answer on the wire.
std::size_t rtu_answer_size(const BusRequest& request);

/// What was found. `payload` lies in what was received: the data bytes of a read.
struct BusAnswer {
    enum class Kind : std::uint8_t {
        incomplete, ///< nothing for this request yet
        data,
        exception, ///< the device said no: `code`
        mismatch   ///< TCP only: right transaction, wrong unit, function or length; or the stream is lost
    };
    Kind kind = Kind::incomplete;
    std::uint8_t code = 0;
    Bytes payload{};
    std::size_t consumed = 0; ///< bytes up to the end of the answer, or that may be forgotten
    unsigned foreign = 0;     ///< frames skipped that answer something else (TCP)
};

/// Looks for the answer anywhere in the received bytes, so that garbage and echoes before it do no harm.
BusAnswer find_rtu_answer(Bytes received, const BusRequest& request);
BusAnswer find_tcp_answer(Bytes received, const BusRequest& request, std::uint16_t transaction);

/// What came in place of an answer, for the message.
struct Misfit {
    enum class Kind : std::uint8_t { silence, echo, other_unit, other_request, damaged, garbage };
    Kind kind = Kind::silence;
    std::uint8_t unit = 0; ///< of other_unit
};
Misfit diagnose_rtu(Bytes received, const BusRequest& request);

/// Registers of a payload of a read of registers; bits of a read of coils as 0 and 1.
std::vector<std::uint16_t> payload_words(Bytes payload, const BusRequest& request);

} // namespace things
