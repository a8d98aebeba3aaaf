// SPDX-License-Identifier: Apache-2.0
#include "serial/keys.hpp"

#include <array>

namespace things {

namespace {

constexpr double hour_ms = 3'600'000;

const std::array keys{
    // source: the link
    make_key(THINGS_SOURCE, "port", THINGS_TYPE_TEXT, "",
             "Serial port; a path below /dev/serial/by-id stays the same when adapters are plugged around."),
    make_key(THINGS_SOURCE, "baud", THINGS_TYPE_INT, "9600", "Speed of the serial line.", {300, 4'000'000},
             "baud"),
    make_key(THINGS_SOURCE, "data_bits", THINGS_TYPE_INT, "8", "Data bits of a character.", {7, 8}),
    make_key(THINGS_SOURCE, "parity", THINGS_TYPE_CHOICE, "none",
             "Parity; a frame with a parity error in it is thrown away.", {}, "", 0, "none even odd"),
    make_key(THINGS_SOURCE, "stop_bits", THINGS_TYPE_INT, "1", "Stop bits of a character.", {1, 2}),
    make_key(
        THINGS_SOURCE, "host", THINGS_TYPE_TEXT, "",
        "Name or address of a serial server (ser2net) or of a sensor that talks on TCP, instead of a port."),
    make_key(THINGS_SOURCE, "tcp_port", THINGS_TYPE_INT, "2000", "TCP port.", {1, 65535}),
    make_key(THINGS_SOURCE, "on_open", THINGS_TYPE_TEXT, "",
             "Text to send whenever the link was opened, such as a command that starts the sensor's stream."),
    // source: frames
    make_key(THINGS_SOURCE, "frame", THINGS_TYPE_CHOICE, "line",
             "How a frame ends: line (CR or LF), delimiter, fixed (length), length (stands in it), silence.",
             {}, "", 0, "line delimiter fixed length silence"),
    make_key(THINGS_SOURCE, "start", THINGS_TYPE_TEXT, "",
             "Bytes that a frame begins with; others before it are noise."),
    make_key(THINGS_SOURCE, "delimiter", THINGS_TYPE_TEXT, "",
             "Bytes that a frame ends with (frame: delimiter)."),
    make_key(THINGS_SOURCE, "trailing", THINGS_TYPE_INT, "0",
             "Bytes behind the delimiter that belong to the frame: a checksum.", {0, 8}, "bytes"),
    make_key(THINGS_SOURCE, "length", THINGS_TYPE_INT, "", "Bytes of a frame (frame: fixed).", {1, 65535},
             "bytes"),
    make_key(THINGS_SOURCE, "length_at", THINGS_TYPE_INT, "",
             "Where the length stands, from 0 (frame: length).", {0, 255}),
    make_key(THINGS_SOURCE, "length_size", THINGS_TYPE_INT, "1", "Bytes of the length.", {1, 2}, "bytes"),
    make_key(THINGS_SOURCE, "length_order", THINGS_TYPE_CHOICE, "high_first", "Order of its bytes.", {}, "",
             0, "high_first low_first"),
    make_key(THINGS_SOURCE, "length_add", THINGS_TYPE_INT, "0",
             "Bytes of the frame that the length does not count: head and checksum.", {0, 255}, "bytes"),
    make_key(THINGS_SOURCE, "max_length", THINGS_TYPE_INT, "1024",
             "A frame that grows longer is thrown away.", {8, 65536}, "bytes"),
    make_key(THINGS_SOURCE, "silence", THINGS_TYPE_DURATION, "50ms",
             "Pause that ends a frame (frame: silence), or drops an unfinished one of counted bytes.",
             {5, 60'000}, "s"),
    make_key(THINGS_SOURCE, "checksum", THINGS_TYPE_CHOICE, "none",
             "Checksum of a frame; nothing of a frame is used before it was checked.", {}, "", 0,
             "none nmea nmea_optional xor sum8 sum8_zero sum16 crc16_modbus crc16_arc crc16_x25 crc_ccitt "
             "crc_xmodem "
             "crc_kermit sdi12"),
    make_key(THINGS_SOURCE, "checksum_form", THINGS_TYPE_CHOICE, "",
             "As bytes or as hexadecimal digits; left out: digits for lines, bytes else.", {}, "", 0,
             "binary hex"),
    make_key(THINGS_SOURCE, "checksum_order", THINGS_TYPE_CHOICE, "",
             "Order of its two bytes; left out: low first for crc16_modbus, high first else.", {}, "", 0,
             "high_first low_first"),
    make_key(THINGS_SOURCE, "checksum_from", THINGS_TYPE_INT, "0",
             "First byte that the checksum covers; 1 leaves out a start byte.", {0, 255}),
    make_key(THINGS_SOURCE, "checksum_gap", THINGS_TYPE_INT, "0",
             "Bytes between the last one covered and the checksum.", {0, 8}, "bytes"),
    make_key(THINGS_SOURCE, "checksum_tail", THINGS_TYPE_INT, "0",
             "Bytes between the checksum and the end of the frame, such as 1 for an end byte.", {0, 255},
             "bytes"),
    make_key(THINGS_SOURCE, "checksum_negate", THINGS_TYPE_BOOL, "false",
             "The two's complement of the checksum stands in the frame: both add up to 0."),
    // source: values
    make_key(THINGS_SOURCE, "separator", THINGS_TYPE_TEXT, ",",
             "What stands between columns; \\t for a tab."),
    make_key(THINGS_SOURCE, "decimal_comma", THINGS_TYPE_BOOL, "false",
             "Numbers have a comma before their decimals; points are thousands."),
    make_key(THINGS_SOURCE, "guard", THINGS_TYPE_TEXT, "",
             "Regular expression that must be found in a frame before any of it is used."),
    make_key(THINGS_SOURCE, "alarm_after", THINGS_TYPE_DURATION, "60s",
             "An alarm is raised when a sensor that talks by itself sent no good frame for so long.",
             {1'000, 24 * hour_ms}, "s"),
    // source: asking
    make_key(THINGS_SOURCE, "request", THINGS_TYPE_TEXT, "",
             "Text that is sent to get an answer, with \\r \\n \\xNN and {checksum}; left out: the sensor "
             "talks by itself."),
    make_key(THINGS_SOURCE, "timeout", THINGS_TYPE_DURATION, "1s", "How long to wait for an answer.",
             {10, 60'000}, "s"),
    make_key(THINGS_SOURCE, "retries", THINGS_TYPE_INT, "1",
             "How often a request is sent again without an answer.", {0, 10}),
    make_key(THINGS_SOURCE, "pause", THINGS_TYPE_DURATION, "0ms", "Silence before each request.", {0, 10'000},
             "s"),
    // device and point
    make_key(THINGS_DEVICE, "request", THINGS_TYPE_TEXT, "", "As for the source, for this device or point.",
             {}, "", THINGS_INHERIT),
    make_key(
        THINGS_POINT, "match", THINGS_TYPE_TEXT, "",
        "Regular expression with one capture: the value. Frames that do not match are about something else.",
        {}, "", 0, "", "where"),
    make_key(THINGS_POINT, "column", THINGS_TYPE_INT, "", "Column of a line, counted from 0.", {0, 1000}, "",
             0, "", "where"),
    make_key(THINGS_POINT, "json", THINGS_TYPE_TEXT, "",
             "JSON pointer into a line, such as /sensors/0/temperature.", {}, "", 0, "", "where"),
    make_key(THINGS_POINT, "byte", THINGS_TYPE_INT, "",
             "Place of the value in a binary frame, counted from 0.", {0, 65535}, "", 0, "", "where"),
    make_key(THINGS_POINT, "guard", THINGS_TYPE_TEXT, "",
             "Regular expression that must be found in the frame, such as ^ST, for a scale at rest."),
    make_key(THINGS_POINT, "type", THINGS_TYPE_CHOICE, "",
             "number, string, bool or degrees (NMEA position); of bytes and of digits: hex int8 to float64. "
             "Left out: number, or uint8 of bytes.",
             {}, "", 0,
             "number string bool degrees int8 uint8 int16 uint16 int32 uint32 int64 uint64 float32 float64"),
    make_key(
        THINGS_POINT, "digits", THINGS_TYPE_CHOICE, "decimal",
        "What match, column or json finds is decimal or hexadecimal; with type: int16 and the like hex is "
        "the two's complement of that width.",
        {}, "", 0, "decimal hex"),
    make_key(THINGS_POINT, "order", THINGS_TYPE_CHOICE, "ABCD",
             "Order of the bytes: ABCD high byte first, DCBA low byte first.", {}, "", 0,
             "ABCD CDAB BADC DCBA"),
    make_key(THINGS_POINT, "length", THINGS_TYPE_INT, "", "Bytes of a string.", {1, 1024}, "bytes"),
    make_key(THINGS_POINT, "bit", THINGS_TYPE_INT, "", "One bit of the bytes, 0 is the lowest; read as bool.",
             {0, 63}),
    make_key(THINGS_POINT, "scale", THINGS_TYPE_NUMBER, "1", "value = raw x scale + offset."),
    make_key(THINGS_POINT, "offset", THINGS_TYPE_NUMBER, "0", "value = raw x scale + offset."),
    make_key(THINGS_POINT, "invalid", THINGS_TYPE_LIST, "",
             "Raw values that mean there is no value, such as 85.0 or Err."),
    make_key(THINGS_POINT, "write", THINGS_TYPE_TEXT, "",
             "Text that writes the point, with {value}, {value:05.1f}, {checksum} and escapes; writable must "
             "be set."),
    make_key(THINGS_POINT, "expect", THINGS_TYPE_TEXT, "",
             "Regular expression that the answer to a write must match; left out: no answer is awaited."),
    make_key(THINGS_POINT, "refuse", THINGS_TYPE_TEXT, "",
             "Regular expression of an answer with which the sensor refuses a write."),
};

} // namespace

const std::vector<const things_key*>& serial_keys() {
    static const std::vector<const things_key*> list = [] {
        std::vector<const things_key*> all;
        all.reserve(std::size(keys));
        for (const things_key& key : keys)
            all.push_back(&key);
        return all;
    }();
    return list;
}

} // namespace things
