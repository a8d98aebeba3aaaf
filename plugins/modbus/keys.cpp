// SPDX-License-Identifier: Apache-2.0
#include "modbus/keys.hpp"

#include "things_plugin.hpp"

#include <array>

namespace things {

namespace {

constexpr std::uint32_t inherit = THINGS_INHERIT;
constexpr double day_ms = 86400000;

const std::array keys{
    // source
    make_key(THINGS_SOURCE, "port", THINGS_TYPE_TEXT, "",
             "Serial port; a path below /dev/serial/by-id stays the same when adapters are plugged around."),
    make_key(THINGS_SOURCE, "baud", THINGS_TYPE_INT, "9600", "Speed of the serial line.", {50, 4000000},
             "baud"),
    make_key(THINGS_SOURCE, "data_bits", THINGS_TYPE_INT, "8",
             "Data bits of a character; 7 is for rare odd devices.", {7, 8}),
    make_key(THINGS_SOURCE, "parity", THINGS_TYPE_CHOICE, "none", "Parity of a character.", {}, "", 0,
             "none even odd"),
    make_key(THINGS_SOURCE, "stop_bits", THINGS_TYPE_INT, "1", "Stop bits of a character.", {1, 2}),
    make_key(THINGS_SOURCE, "rs485", THINGS_TYPE_BOOL, "false",
             "Let the kernel switch the direction of an RS-485 port; for UARTs whose driver can, not needed "
             "with USB adapters."),
    make_key(THINGS_SOURCE, "host", THINGS_TYPE_TEXT, "",
             "Name or address (IPv4, IPv6) of a Modbus TCP device."),
    make_key(THINGS_SOURCE, "tcp_port", THINGS_TYPE_INT, "502", "TCP port.", {1, 65535}),
    make_key(THINGS_SOURCE, "framing", THINGS_TYPE_CHOICE, "tcp",
             "Frames on a TCP connection: tcp, or rtu for a transparent serial server.", {}, "", 0,
             "tcp rtu"),
    make_key(THINGS_SOURCE, "connect_timeout", THINGS_TYPE_DURATION, "5s",
             "How long a TCP connection may take to come about.", {10, 120000}, "s"),
    make_key(
        THINGS_SOURCE, "connect_delay", THINGS_TYPE_DURATION, "0ms",
        "How long to wait after the connection or port was opened before the first request is sent; some "
        "devices reset or stay mute when they are asked at once.",
        {0, 60000}, "s"),
    make_key(THINGS_SOURCE, "timeout", THINGS_TYPE_DURATION, "1s", "How long to wait for an answer.",
             {5, 120000}, "s"),
    make_key(THINGS_SOURCE, "retries", THINGS_TYPE_INT, "2",
             "How often a request is sent again when nothing, or something damaged, came back.", {0, 20}),
    make_key(THINGS_SOURCE, "pause", THINGS_TYPE_DURATION, "0ms",
             "Extra silence before each request, on top of the 3.5 characters of a serial line.", {0, 10000},
             "s"),

    make_key(THINGS_SOURCE, "register_bytes", THINGS_TYPE_CHOICE, "2",
             "How many bytes a register holds. Modbus says two; the answer of a device that holds more (or "
             "one) has "
             "so many for each register that was asked for.",
             {}, "bytes", 0, "1 2 4 8"),

    // device
    make_key(THINGS_DEVICE, "unit_id", THINGS_TYPE_INT, "1",
             "Modbus address of the device (slave address); 1 to 247 on a serial line.", {0, 255}, "",
             inherit),
    make_key(THINGS_DEVICE, "connect_delay", THINGS_TYPE_DURATION, "",
             "As for the source; the longest of its devices counts.", {0, 60000}, "s"),
    make_key(THINGS_DEVICE, "timeout", THINGS_TYPE_DURATION, "", "As for the source, for this device.",
             {5, 120000}, "s", inherit),
    make_key(THINGS_DEVICE, "retries", THINGS_TYPE_INT, "", "As for the source, for this device.", {0, 20},
             "", inherit),
    make_key(THINGS_DEVICE, "pause", THINGS_TYPE_DURATION, "", "As for the source, for this device.",
             {0, 10000}, "s", inherit),
    make_key(THINGS_DEVICE, "backoff_max", THINGS_TYPE_DURATION, "60s",
             "A device that does not answer is asked less and less often, down to once in this time; 0s: it "
             "is always asked.",
             {0, day_ms}, "s", inherit),
    make_key(
        THINGS_DEVICE, "gap", THINGS_TYPE_INT, "",
        "How many registers (or coils) that nobody asked for one read may cross; 0: none. Left out: none "
        "at first, then learned by trying.",
        {0, 2000}, "registers", inherit),
    make_key(THINGS_DEVICE, "max_registers", THINGS_TYPE_INT, "125", "Most registers in one read or write.",
             {1, 125}, "registers", inherit),
    make_key(THINGS_DEVICE, "max_coils", THINGS_TYPE_INT, "2000", "Most coils in one read or write.",
             {1, 2000}, "coils", inherit),
    make_key(
        THINGS_DEVICE, "even_addresses", THINGS_TYPE_BOOL, "false",
        "The device answers only reads of registers that begin at an even address and have an even count.",
        {}, "", inherit),
    make_key(THINGS_DEVICE, "register_bytes", THINGS_TYPE_CHOICE, "",
             "As for the source, for this device; its coils are not concerned.", {}, "bytes", inherit,
             "1 2 4 8"),
    make_key(THINGS_DEVICE, "write_function", THINGS_TYPE_CHOICE, "auto",
             "How to write: auto, single (functions 5 and 6), multiple (15 and 16), or the function itself.",
             {}, "", inherit, "auto single multiple 5 6 15 16"),
    make_key(THINGS_DEVICE, "order", THINGS_TYPE_CHOICE, "ABCD",
             "Order of the bytes of a value of several registers: ABCD high word first, CDAB low word first; "
             "BADC and DCBA with the bytes of each register swapped.",
             {}, "", inherit, "ABCD CDAB BADC DCBA"),

    // point
    make_key(THINGS_POINT, "coil", THINGS_TYPE_INT, "", "Zero-based address of a coil (functions 1, 5, 15).",
             {0, 65535}, "", 0, "", "address"),
    make_key(THINGS_POINT, "discrete", THINGS_TYPE_INT, "",
             "Zero-based address of a discrete input (function 2).", {0, 65535}, "", 0, "", "address"),
    make_key(THINGS_POINT, "holding", THINGS_TYPE_INT, "",
             "Zero-based address of a holding register (functions 3, 6, 16).", {0, 65535}, "", 0, "",
             "address"),
    make_key(THINGS_POINT, "input", THINGS_TYPE_INT, "",
             "Zero-based address of an input register (function 4).", {0, 65535}, "", 0, "", "address"),
    make_key(THINGS_POINT, "entity", THINGS_TYPE_TEXT, "",
             "Address as data sheets write it, one-based with the table in front: 40101 or 400101 is holding "
             "register 100, 30001 input register 0, 10001 discrete input 0, 00001 coil 0.",
             {}, "", 0, "", "address"),
    make_key(THINGS_POINT, "sunspec", THINGS_TYPE_TEXT, "",
             "SunSpec model and point, such as 103.W or 160.2.DCW (module 2); found by walking the models of "
             "the device, scale factor included.",
             {}, "", 0, "", "address"),
    make_key(THINGS_POINT, "type", THINGS_TYPE_CHOICE, "",
             "Type of the value; bool for coils and discrete inputs, else uint16 where left out.", {}, "", 0,
             "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float32 float64 bcd16 bcd32 string"),
    make_key(THINGS_POINT, "bit", THINGS_TYPE_INT, "",
             "One bit of the registers, 0 is the lowest; read as bool.", {0, 63}),
    make_key(THINGS_POINT, "mask", THINGS_TYPE_INT, "",
             "Bits that make up the value, such as 0x0FF0; shifted down to bit 0."),
    make_key(THINGS_POINT, "scale", THINGS_TYPE_NUMBER, "1", "value = raw x scale + offset."),
    make_key(
        THINGS_POINT, "scale_from", THINGS_TYPE_INT, "",
        "Zero-based address, in the same table, of an int16 register that holds the power of ten to scale "
        "with; read in the same request.",
        {0, 65535}),
    make_key(THINGS_POINT, "offset", THINGS_TYPE_NUMBER, "0", "value = raw x scale + offset."),
    make_key(THINGS_POINT, "invalid", THINGS_TYPE_LIST, "",
             "Raw values, before scaling and signed as the type, that mean there is no value."),
    make_key(THINGS_POINT, "length", THINGS_TYPE_INT, "",
             "Registers of a string, two characters each (or as many as `register_bytes` says).", {1, 125},
             "registers"),
};

template <std::size_t n>
std::array<const things_key*, n> pointers_to(const std::array<things_key, n>& table) {
    std::array<const things_key*, n> result{};
    for (std::size_t i = 0; i < n; ++i)
        result[i] = &table[i];
    return result;
}

} // namespace

ModbusKeys modbus_keys() {
    static const auto pointers = pointers_to(keys);
    return {pointers.data(), static_cast<std::uint32_t>(pointers.size())};
}

} // namespace things
