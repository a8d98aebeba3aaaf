// SPDX-License-Identifier: Apache-2.0
#include "link/serial_port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string_view>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

namespace things {

namespace {

struct Speed {
    int baud;
    speed_t code;
};

constexpr Speed speeds[] = {
    {300, B300},         {600, B600},         {1200, B1200},       {1800, B1800},       {2400, B2400},
    {4800, B4800},       {9600, B9600},       {19200, B19200},     {38400, B38400},     {57600, B57600},
    {115200, B115200},   {230400, B230400},   {460800, B460800},   {500000, B500000},   {576000, B576000},
    {921600, B921600},   {1000000, B1000000}, {1152000, B1152000}, {1500000, B1500000}, {2000000, B2000000},
    {3000000, B3000000}, {4000000, B4000000},
};

const Speed* find_speed(int baud) {
    const auto* found = std::find_if(std::begin(speeds), std::end(speeds),
                                     [baud](const Speed& speed) { return speed.baud == baud; });
    return found == std::end(speeds) ? nullptr : found;
}

std::string explain_open(const std::string& path, int error) {
    switch (error) {
    case ENOENT:
        return fmt::format(
            "{} does not exist: is the cable plugged in? `ls -l /dev/serial/by-id` lists ports by name",
            path);
    case EACCES:
        return fmt::format(
            "no permission to open {}: the service's user must be in the group of the port (dialout)", path);
    case EBUSY:
        return fmt::format("{} is in use by another program: `fuser -v {}` says which", path, path);
    default:
        return fmt::format("cannot open {}: {}", path, std::strerror(error));
    }
}

/// Raw mode with these settings on top of what the driver has.
void fill(termios& options, const LineSettings& line, const Speed& speed) {
    ::cfmakeraw(&options);
    options.c_cflag &= ~static_cast<tcflag_t>(CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS | HUPCL);
    options.c_cflag |= CLOCAL | CREAD | (line.data_bits == 7 ? CS7 : CS8);
    if (line.stop_bits == 2)
        options.c_cflag |= CSTOPB;
    options.c_iflag &=
        ~static_cast<tcflag_t>(IXON | IXOFF | IXANY | INPCK | PARMRK | IGNPAR | ISTRIP | IGNBRK);
    if (line.parity != LineParity::none) {
        options.c_cflag |= PARENB;
        options.c_iflag |= INPCK | PARMRK;
    }
    if (line.parity == LineParity::odd)
        options.c_cflag |= PARODD;
    // Non-blocking reads give EAGAIN with it; 0 would make an idle line look like its end.
    options.c_cc[VMIN] = 1;
    options.c_cc[VTIME] = 0;
    ::cfsetispeed(&options, speed.code);
    ::cfsetospeed(&options, speed.code);
}

/// Of those that socat makes. It keeps neither data bits nor parity, of which the C library complains when
/// nothing else was to be changed.
bool is_pseudo_terminal(int fd) {
    struct stat file {};
    return ::fstat(fd, &file) == 0 && major(file.st_rdev) >= 136 && major(file.st_rdev) <= 143;
}

std::string apply(int fd, const LineSettings& line) {
    const Speed* speed = find_speed(line.baud);
    if (speed == nullptr)
        return fmt::format("{} baud is not a speed that the system knows", line.baud);
    termios options{};
    if (::tcgetattr(fd, &options) != 0)
        return fmt::format("not a serial port: {}", std::strerror(errno));
    fill(options, line, *speed);
    if (::tcsetattr(fd, TCSANOW, &options) != 0 && !(errno == EINVAL && is_pseudo_terminal(fd)))
        return fmt::format("the driver refuses {}: {}", to_text(line), std::strerror(errno));
    // tcsetattr succeeds if any of the settings was taken.
    termios taken{};
    if (::tcgetattr(fd, &taken) == 0 && ::cfgetospeed(&taken) != speed->code)
        return fmt::format("the driver does not take {} baud", line.baud);
    return {};
}

} // namespace

double character_ms(const LineSettings& line) {
    const int bits = 1 + line.data_bits + (line.parity == LineParity::none ? 0 : 1) + line.stop_bits;
    return bits * 1000.0 / line.baud;
}

std::string to_text(const LineSettings& line) {
    char parity = line.parity == LineParity::none ? 'N' : line.parity == LineParity::even ? 'E' : 'O';
    return fmt::format("{} {}{}{}", line.baud, line.data_bits, parity, line.stop_bits);
}

std::optional<LineSettings> with_frame(LineSettings line, std::string_view frame) {
    if (frame.size() != 3 || (frame[0] != '7' && frame[0] != '8') || (frame[2] != '1' && frame[2] != '2'))
        return std::nullopt;
    constexpr std::string_view letters = "NEOneo";
    std::size_t letter = letters.find(frame[1]);
    if (letter == std::string_view::npos)
        return std::nullopt;
    line.data_bits = frame[0] - '0';
    line.parity = static_cast<LineParity>(letter % 3);
    line.stop_bits = frame[2] - '0';
    return line;
}

bool is_known_baud(int baud) {
    return find_speed(baud) != nullptr;
}

OpenedLink open_serial(const std::string& path, const LineSettings& line) {
    int fd = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return {std::nullopt, explain_open(path, errno)};
    Stream stream(fd, Stream::Kind::serial, line.parity != LineParity::none);
    // TIOCEXCL keeps later openers out (but not root), the lock finds out who was here before us.
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
        return {std::nullopt, explain_open(path, EBUSY)};
    ::ioctl(fd, TIOCEXCL);
    if (std::string error = apply(fd, line); !error.empty())
        return {std::nullopt, fmt::format("{}: {}", path, error)};
    // Opening sets them on most drivers, not on all; they power cables and ask P1 meters to send.
    int lines = TIOCM_RTS | TIOCM_DTR;
    ::ioctl(fd, TIOCMBIS, &lines); // a pty has none
    ::tcflush(fd, TCIFLUSH);       // what waited there came at another speed, or long ago
    return {std::move(stream), {}};
}

std::string change_line(Stream& stream, const LineSettings& line) {
    if (stream.kind() != Stream::Kind::serial)
        return {}; // the serial server at the other end keeps the line
    std::string error = apply(stream.fd(), line);
    if (error.empty())
        stream.set_marked(line.parity != LineParity::none);
    return error;
}

} // namespace things
