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

/// Addresses are those of the protocol, counted from 0. Nothing here checks them: who makes a request keeps
/// within 125 registers or 2000 coils to read and 123 registers to write (Modbus Application Protocol V1.1b3,
/// sections 6.1 to 6.12).
struct BusRequest {
    std::uint8_t unit = 1;
    std::uint8_t function = 3; ///< 1 to 6, 15, 16
    std::uint16_t address = 0;
    std::uint16_t count = 1;             ///< registers or coils
    std::vector<std::uint16_t> values{}; ///< of writes: the payload as words, or 0 and 1 for coils
    std::uint8_t register_bytes = 2;     ///< 1, 2, 4 or 8: what the device holds in one register
};

/// Functions 5, 6, 15 and 16.
constexpr bool writes(const BusRequest& request) {
    return request.function > 4;
}

/// A frame ready to be sent.
/// 272 bytes hold the longest frame: 256 of RTU, 260 of TCP. push() does not check for the end.
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

/// Polynomial A001, start FFFF, over unit to data; goes on the wire with its low byte first (Modbus over
/// Serial Line V1.02, section 6.2.2).
std::uint16_t crc16(Bytes bytes);
BusFrame rtu_frame(const BusRequest& request);
/// Seven bytes of header and no checksum; `transaction` comes back in the answer.
BusFrame tcp_frame(const BusRequest& request, std::uint16_t transaction);
/// Bytes of the good answer on the wire.
/// Of reads 5 and the data, of writes 8; an exception is always 5.
std::size_t rtu_answer_size(const BusRequest& request);

/// Modbus Application Protocol V1.1b3, section 7: what was asked is being done, and nothing was done yet.
constexpr std::uint8_t acknowledge = 5, device_busy = 6;
/// The same request may be answered a little later.
constexpr bool says_later(std::uint8_t exception_code) {
    return exception_code == acknowledge || exception_code == device_busy;
}

/// What was found. `payload` lies in what was received: the data bytes of a read.
struct ModbusAnswer {
    enum class Kind : std::uint8_t {
        incomplete, ///< nothing for this request yet
        data,
        exception, ///< the device said no: `code`
        mismatch   ///< TCP only: right transaction, wrong unit, function or length; or the stream is lost
    };
    Kind kind = Kind::incomplete;
    std::uint8_t code = 0;
    Bytes payload{};
    Bytes body{};             ///< TCP: unit, function and data of the answer, or of what did not fit
    std::size_t consumed = 0; ///< bytes up to the end of the answer, or that may be forgotten
    unsigned foreign = 0;     ///< frames skipped that answer something else (TCP)
    Bytes misnumbered{};      ///< the last of these that answers the request but for its number
};

/// Looks for the answer anywhere in the received bytes, so that garbage and echoes before it do no harm.
/// The answer to a read names neither address nor transaction: whether it belongs to this request or to an
/// earlier equal one, ModbusBus decides.
/// An answer to a write must repeat unit, function, address and value or count.
ModbusAnswer find_rtu_answer(Bytes received, const BusRequest& request);
/// Works on whole frames from the front. Frames of other transactions are skipped and counted as `foreign`. A
/// length outside 3 to 254 or another protocol than 0 means that the stream is out of step: mismatch, and
/// everything received is to be forgotten. Without a transaction every number will do.
ModbusAnswer find_tcp_answer(Bytes received, const BusRequest& request,
                             std::optional<std::uint16_t> transaction);
/// Each whole TCP frame as it would be on a serial line: without its header, with a checksum.
std::vector<std::uint8_t> tcp_frames_as_rtu(Bytes received);

/// What came in place of an answer, for the message.
struct Misfit {
    enum class Kind : std::uint8_t {
        silence,
        echo,
        other_unit,
        other_function,
        other_length, ///< of the data
        other_number, ///< TCP: right but for its transaction
        other_request,
        damaged,
        garbage,
        closed ///< the other side closed the connection instead
    };
    static constexpr std::size_t most_kept = 32;
    Kind kind = Kind::silence;
    unsigned wanted = 0, came = 0;     ///< units, functions, bytes of data or transactions
    std::vector<std::uint8_t> bytes{}; ///< the last of what came, at most most_kept
    std::size_t size = 0;              ///< of all that came
    /// Keeps the last bytes of `received`.
    void keep(Bytes received);
};
/// A guess for the message alone; decides nothing. From the likeliest on: our own request, an intact answer
/// of another unit, one to another request, something of the right beginning with a wrong checksum, noise.
Misfit diagnose_rtu(Bytes received, const BusRequest& request);
/// The same of one TCP frame: unit, function and data. Empty: what came is not a frame.
Misfit diagnose_tcp(Bytes body, const BusRequest& request);

/// The payload of a read of registers as words, two bytes each; bits of a read of coils as 0 and 1.
/// `payload` has the length that the request calls for: find_*_answer saw to that.
std::vector<std::uint16_t> payload_words(Bytes payload, const BusRequest& request);

} // namespace things
