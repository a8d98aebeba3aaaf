// SPDX-License-Identifier: Apache-2.0
#include "modbus/frame.hpp"

#include <algorithm>

namespace things {

namespace {

constexpr std::size_t exception_size = 5;
constexpr std::size_t write_answer_size = 8;
constexpr std::size_t header_size = 7; // MBAP header with the unit id

constexpr std::array<std::uint16_t, 256> make_crc_table() {
    std::array<std::uint16_t, 256> table{};
    for (unsigned i = 0; i < 256; ++i) {
        unsigned value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value & 1) != 0 ? (value >> 1) ^ 0xA001U : value >> 1;
        table[i] = static_cast<std::uint16_t>(value);
    }
    return table;
}
constexpr auto crc_table = make_crc_table();

bool reads_bits(std::uint8_t function) {
    return function == 1 || function == 2;
}
bool reads(std::uint8_t function) {
    return function >= 1 && function <= 4;
}

std::size_t data_size(const BusRequest& request) {
    return reads_bits(request.function) ? (request.count + 7U) / 8U
                                        : std::size_t{request.register_bytes} * request.count;
}

void push_coils(BusFrame& frame, const std::vector<std::uint16_t>& values) {
    for (std::size_t i = 0; i < values.size(); i += 8) {
        unsigned byte = 0;
        for (std::size_t bit = 0; bit < 8 && i + bit < values.size(); ++bit)
            byte |= values[i + bit] != 0 ? 1U << bit : 0U;
        frame.push(static_cast<std::uint8_t>(byte));
    }
}

// Unit, function and data: what both kinds of frames have in common.
void push_body(BusFrame& frame, const BusRequest& request) {
    frame.push(request.unit);
    frame.push(request.function);
    frame.push_word(request.address);
    switch (request.function) {
    case 5:
        frame.push_word(request.values.at(0) != 0 ? 0xFF00 : 0);
        return;
    case 6:
        frame.push_word(request.values.at(0));
        return;
    case 15:
        frame.push_word(request.count);
        frame.push(static_cast<std::uint8_t>((request.count + 7U) / 8U));
        push_coils(frame, request.values);
        return;
    case 16:
        frame.push_word(request.count);
        frame.push(static_cast<std::uint8_t>(data_size(request)));
        for (std::size_t i = 0; i < data_size(request); ++i) // the last word may be half one
            frame.push(static_cast<std::uint8_t>(i % 2 == 0 ? request.values.at(i / 2) >> 8
                                                            : request.values.at(i / 2) & 0xFF));
        return;
    default:
        frame.push_word(request.count);
    }
}

bool checksum_is_right(Bytes frame) {
    const std::size_t body = frame.size() - 2;
    return crc16(frame.first(body)) == (frame[body] | frame[body + 1] << 8);
}

std::uint16_t word_at(Bytes bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// A write is answered with its address and its value (5, 6) or count (15, 16).
bool confirms(Bytes body, const BusRequest& request) {
    BusFrame sent;
    push_body(sent, request);
    return std::equal(body.begin(), body.begin() + 6, sent.bytes().begin());
}

// The body of a good answer begins here: unit, function, then count and data, or what was written.
bool fits(Bytes body, const BusRequest& request) {
    if (body[0] != request.unit || body[1] != request.function)
        return false;
    return reads(request.function) ? body[2] == data_size(request) : confirms(body, request);
}

ModbusAnswer answer_of(Bytes body, const BusRequest& request, std::size_t consumed) {
    ModbusAnswer answer;
    answer.kind = ModbusAnswer::Kind::data;
    answer.consumed = consumed;
    if (reads(request.function))
        answer.payload = body.subspan(3, data_size(request));
    return answer;
}

ModbusAnswer exception_of(std::uint8_t code, std::size_t consumed) {
    ModbusAnswer answer;
    answer.kind = ModbusAnswer::Kind::exception;
    answer.code = code;
    answer.consumed = consumed;
    return answer;
}

// The size of the frame that seems to begin here, whatever it answers; 0: none does.
std::size_t any_answer_size(Bytes rest) {
    if (rest.size() < exception_size)
        return 0;
    const std::uint8_t function = rest[1];
    if ((function & 0x80) != 0)
        return exception_size;
    if (reads(function))
        return exception_size + rest[2];
    return function == 5 || function == 6 || function == 15 || function == 16 ? write_answer_size : 0;
}

// Which part of an intact frame does not fit: unit, function and data, without a checksum.
Misfit diagnose_body(Bytes body, const BusRequest& request) {
    if (body[0] != request.unit)
        return {Misfit::Kind::other_unit, request.unit, body[0]};
    if ((body[1] & 0x7F) != request.function)
        return {Misfit::Kind::other_function, request.function, body[1]};
    if (!reads(request.function) || (body[1] & 0x80) != 0 || body.size() < 3)
        return {Misfit::Kind::other_request};
    const std::size_t came = body.size() - 3;
    return {Misfit::Kind::other_length, static_cast<unsigned>(data_size(request)),
            static_cast<unsigned>(came != data_size(request) ? came : body[2])};
}

// Where the TCP frame at the beginning ends; 0: it is not whole yet. Nothing: no frame begins here.
std::optional<std::size_t> tcp_frame_end(Bytes bytes) {
    if (bytes.size() < header_size)
        return 0;
    const std::size_t length = word_at(bytes, 4);
    if (word_at(bytes, 2) != 0 || length < 3 || length > 254)
        return std::nullopt;
    const std::size_t size = header_size - 1 + length;
    return bytes.size() < size ? 0 : size;
}

// Nothing but whole frames. An answer that was shorter than its header says takes its last bytes from the
// frame that came after it: then what is left of that one is no frame.
bool are_tcp_frames(Bytes bytes) {
    while (!bytes.empty()) {
        const auto end = tcp_frame_end(bytes);
        if (end.value_or(0) == 0)
            return false;
        bytes = bytes.subspan(*end);
    }
    return true;
}

} // namespace

std::uint16_t crc16(Bytes bytes) {
    unsigned crc = 0xFFFF;
    for (const std::uint8_t byte : bytes)
        crc = (crc >> 8) ^ crc_table[(crc ^ byte) & 0xFF];
    return static_cast<std::uint16_t>(crc);
}

BusFrame rtu_frame(const BusRequest& request) {
    BusFrame frame;
    push_body(frame, request);
    const std::uint16_t crc = crc16(frame.bytes());
    frame.push(static_cast<std::uint8_t>(crc & 0xFF));
    frame.push(static_cast<std::uint8_t>(crc >> 8));
    return frame;
}

BusFrame tcp_frame(const BusRequest& request, std::uint16_t transaction) {
    BusFrame body;
    push_body(body, request);
    BusFrame frame;
    frame.push_word(transaction);
    frame.push_word(0);
    frame.push_word(static_cast<std::uint16_t>(body.bytes().size()));
    for (const std::uint8_t byte : body.bytes())
        frame.push(byte);
    return frame;
}

std::size_t rtu_answer_size(const BusRequest& request) {
    return reads(request.function) ? exception_size + data_size(request) : write_answer_size;
}

ModbusAnswer find_rtu_answer(Bytes received, const BusRequest& request) {
    const std::size_t size = rtu_answer_size(request);
    for (std::size_t at = 0; at + exception_size <= received.size(); ++at) {
        const Bytes rest = received.subspan(at);
        if (rest[0] != request.unit)
            continue;
        if (rest[1] == (request.function | 0x80) && checksum_is_right(rest.first(exception_size)))
            return exception_of(rest[2], at + exception_size);
        if (rest.size() >= size && fits(rest, request) && checksum_is_right(rest.first(size)))
            return answer_of(rest, request, at + size);
    }
    return {};
}

namespace {

// The frame that begins here, if it answers the request, whatever its number.
ModbusAnswer answer_in(Bytes rest, std::size_t size, const BusRequest& request) {
    const Bytes body = rest.subspan(header_size - 1, size - (header_size - 1));
    ModbusAnswer answer;
    answer.kind = ModbusAnswer::Kind::mismatch;
    if (!are_tcp_frames(rest.subspan(size)))
        return answer;
    if (body[0] == request.unit && body[1] == (request.function | 0x80) && body.size() == 3)
        answer = exception_of(body[2], 0);
    else if (body.size() == rtu_answer_size(request) - 2 && fits(body, request))
        answer = answer_of(body, request, 0);
    answer.body = body;
    return answer;
}

} // namespace

ModbusAnswer find_tcp_answer(Bytes received, const BusRequest& request,
                             std::optional<std::uint16_t> transaction) {
    ModbusAnswer none;
    for (;;) {
        const Bytes rest = received.subspan(none.consumed);
        const auto size = tcp_frame_end(rest);
        if (!size)
            none.kind = ModbusAnswer::Kind::mismatch; // where the next frame begins is anybody's guess
        if (size.value_or(0) == 0)
            return none;
        none.consumed += *size;
        ModbusAnswer answer = answer_in(rest, *size, request);
        if (transaction && word_at(rest, 0) != *transaction) {
            ++none.foreign;
            if (answer.kind != ModbusAnswer::Kind::mismatch)
                none.misnumbered = rest.first(*size);
            continue;
        }
        answer.consumed = none.consumed;
        answer.foreign = none.foreign;
        return answer;
    }
}

std::vector<std::uint8_t> tcp_frames_as_rtu(Bytes received) {
    std::vector<std::uint8_t> result;
    for (;;) {
        const std::size_t size = tcp_frame_end(received).value_or(0);
        if (size == 0)
            return result;
        const Bytes body = received.subspan(header_size - 1, size - (header_size - 1));
        const std::uint16_t crc = crc16(body);
        result.insert(result.end(), body.begin(), body.end());
        result.push_back(static_cast<std::uint8_t>(crc & 0xFF));
        result.push_back(static_cast<std::uint8_t>(crc >> 8));
        received = received.subspan(size);
    }
}

void Misfit::keep(Bytes received) {
    size = received.size();
    const Bytes last = received.last(std::min(size, most_kept));
    bytes.assign(last.begin(), last.end());
}

Misfit diagnose_rtu(Bytes received, const BusRequest& request) {
    if (received.empty())
        return {Misfit::Kind::silence};
    const BusFrame sent = rtu_frame(request);
    const std::size_t echo = sent.bytes().size();
    if (received.size() >= echo && std::equal(sent.bytes().begin(), sent.bytes().end(), received.begin())) {
        const Misfit rest = diagnose_rtu(received.subspan(echo), request);
        return rest.kind == Misfit::Kind::silence ? Misfit{Misfit::Kind::echo} : rest;
    }
    for (std::size_t at = 0; at < received.size(); ++at) {
        const Bytes rest = received.subspan(at);
        const std::size_t size = any_answer_size(rest);
        if (size == 0 || rest.size() < size || !checksum_is_right(rest.first(size)))
            continue;
        return diagnose_body(rest.first(size - 2), request);
    }
    const bool begins_well =
        received.size() >= 2 && received[0] == request.unit && (received[1] & 0x7F) == request.function;
    return {begins_well ? Misfit::Kind::damaged : Misfit::Kind::garbage};
}

Misfit diagnose_tcp(Bytes body, const BusRequest& request) {
    return body.size() < 2 ? Misfit{Misfit::Kind::garbage} : diagnose_body(body, request);
}

std::vector<std::uint16_t> payload_words(Bytes payload, const BusRequest& request) {
    const bool bits = reads_bits(request.function);
    std::vector<std::uint16_t> words(bits ? request.count : (payload.size() + 1) / 2);
    for (std::size_t i = 0; i < words.size(); ++i)
        words[i] = bits                         ? static_cast<std::uint16_t>(payload[i / 8] >> (i % 8) & 1)
                   : 2 * i + 1 < payload.size() ? word_at(payload, 2 * i)
                                                : static_cast<std::uint16_t>(payload[2 * i] << 8);
    return words;
}

} // namespace things
