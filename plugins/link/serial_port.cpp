// SPDX-License-Identifier: Apache-2.0
#include "link/serial_port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string_view>

#include <asm/termbits.h> // termios2; excludes termios.h
#include <fcntl.h>
#include <modbus/modbus.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace things {

namespace {

struct Speed {
    int baud;
    tcflag_t code;
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

/// Raw mode with these settings on top of what the driver has.
void fill(struct termios2& mode, const LineSettings& line, bool marks_damage) {
    const Speed* speed = find_speed(line.baud);
    mode.c_cflag &= ~static_cast<tcflag_t>(CBAUD | CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS | HUPCL);
    mode.c_cflag |= CLOCAL | CREAD | (line.data_bits == 7 ? CS7 : CS8) |
                    (speed != nullptr ? speed->code : static_cast<tcflag_t>(BOTHER));
    if (line.stop_bits == 2)
        mode.c_cflag |= CSTOPB;
    if (line.parity != LineParity::none)
        mode.c_cflag |= PARENB;
    if (line.parity == LineParity::odd)
        mode.c_cflag |= PARODD;
    mode.c_iflag = line.parity == LineParity::none ? 0 : marks_damage ? INPCK | PARMRK : INPCK;
    mode.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    mode.c_lflag = 0;
    // Non-blocking reads give EAGAIN with it; 0 would make an idle line look like its end.
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    mode.c_ispeed = mode.c_ospeed = static_cast<speed_t>(line.baud);
}

/// It keeps neither data bits nor parity: there is no wire.
bool is_pseudo_terminal(int fd) {
    struct stat file {};
    return ::fstat(fd, &file) == 0 && major(file.st_rdev) >= 136 && major(file.st_rdev) <= 143;
}

/// 0, or an errno. ERANGE: the driver does not take the speed.
int apply(int fd, const LineSettings& line, bool marks_damage) {
    struct termios2 mode {
    }, taken{};
    if (::ioctl(fd, TCGETS2, &mode) != 0)
        return errno;
    fill(mode, line, marks_damage);
    if (::ioctl(fd, TCSETS2, &mode) != 0 || ::ioctl(fd, TCGETS2, &taken) != 0)
        return errno;
    // A driver keeps silent on what it does not take. It may miss a speed by a little.
    const auto wanted = static_cast<speed_t>(line.baud);
    if (std::max(taken.c_ospeed, wanted) - std::min(taken.c_ospeed, wanted) > wanted / 32)
        return ERANGE;
    constexpr tcflag_t frame = CSIZE | PARENB;
    return (taken.c_cflag & frame) == (mode.c_cflag & frame) || is_pseudo_terminal(fd) ? 0 : EINVAL;
}

struct ContextCloser {
    void operator()(modbus_t* context) const {
        modbus_close(context);
        modbus_free(context);
    }
};
using Context = std::unique_ptr<modbus_t, ContextCloser>;

/// Null: see errno.
Context open_context(const std::string& path, const LineSettings& line) {
    const char parity = "NEO"[static_cast<int>(line.parity)];
    Context context(modbus_new_rtu(path.c_str(), line.baud, parity, line.data_bits, line.stop_bits));
    if (context != nullptr && modbus_connect(context.get()) < 0) {
        const int error = errno;
        context.reset();
        errno = error;
    }
    return context;
}

/// Held while it lives.
class PortLock {
public:
    explicit PortLock(const std::string& path)
        : fd_(::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)) {
        error_ = fd_ < 0 ? errno : ::flock(fd_, LOCK_EX | LOCK_NB) != 0 ? EBUSY : 0;
    }
    ~PortLock() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    PortLock(const PortLock&) = delete;
    PortLock& operator=(const PortLock&) = delete;
    [[nodiscard]] int error() const { return error_; }

private:
    int fd_;
    int error_ = 0;
};

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

OpenedLink open_serial(const std::string& path, const LineSettings& line, const PortUse& use) {
    auto lock = std::make_unique<PortLock>(path); // before libmodbus disturbs the line of somebody else
    if (lock->error() != 0)
        return {std::nullopt, serial_trouble(path, line, lock->error())};
    Context context = open_context(path, line);
    // The C library refuses 7 bits and parity on a pseudo terminal where nothing else is to change.
    if (context == nullptr && errno == EINVAL)
        context = open_context(path, {line.baud});
    if (context == nullptr)
        return {std::nullopt, serial_trouble(path, line, errno)};
    const int fd = modbus_get_socket(context.get());
    lock.reset(); // the lock that stays is of the descriptor that stays
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
        return {std::nullopt, serial_trouble(path, line, EBUSY)};
    ::ioctl(fd, TIOCEXCL);
    if (const int error = apply(fd, line, use.marks_damage); error != 0)
        return {std::nullopt, serial_trouble(path, line, error)};
    if (use.rs485 && modbus_rtu_set_serial_mode(context.get(), MODBUS_RTU_RS485) < 0)
        return {
            std::nullopt,
            {"port_mode",
             fmt::format("{} has no RS-485 mode in its driver ({}). Take `rs485` away: USB adapters switch "
                         "direction by themselves.",
                         path, std::strerror(errno))}};
    // Opening sets them on most drivers, not on all; they power cables and ask P1 meters to send.
    int lines = TIOCM_RTS | TIOCM_DTR;
    if (!use.rs485)
        ::ioctl(fd, TIOCMBIS, &lines); // a pty has none
    ::ioctl(fd, TCFLSH, TCIFLUSH);     // what waited there came at another speed, or long ago
    modbus_set_socket(context.get(), -1);
    return {Stream(fd, Stream::Kind::serial, use.marks_damage && line.parity != LineParity::none), {}};
}

std::string change_line(Stream& stream, const LineSettings& line) {
    if (stream.kind() != Stream::Kind::serial)
        return {}; // the serial server at the other end keeps the line
    const int error = apply(stream.fd(), line, true);
    if (error == ERANGE)
        return fmt::format("the driver does not take {} baud", line.baud);
    if (error != 0)
        return fmt::format("the driver refuses {}: {}", to_text(line), std::strerror(error));
    stream.set_marked(line.parity != LineParity::none);
    return {};
}

LinkTrouble serial_trouble(const std::string& path, const LineSettings& line, int error) {
    const char* reason = error == 0 ? "end of file" : std::strerror(error);
    switch (error) {
    case ENOENT:
        return {"port_missing", fmt::format("{} does not exist. Is the adapter plugged in? Look in "
                                            "/dev/serial/by-id for the name it has now.",
                                            path)};
    case EACCES:
    case EPERM:
        return {"port_denied",
                fmt::format("{} may not be opened ({}). The user of the gateway must be in the "
                            "group that owns it, usually dialout.",
                            path, reason)};
    case EBUSY:
        return {"port_busy",
                fmt::format("{} is in use by another program. Stop that program, or find it with: "
                            "fuser -v {}",
                            path, path)};
    case 0:
    case EIO:
    case ENXIO:
    case ENODEV:
        return {"port_lost",
                fmt::format("{} went away ({}): the adapter was pulled out or lost its supply. It "
                            "is opened again as soon as it is back.",
                            path, reason)};
    case ENOTTY:
        return {"port_mode", fmt::format("{} is not a serial port ({}).", path, reason)};
    case ERANGE:
        return {"port_mode",
                fmt::format("{} cannot run at {} baud. Check `baud` against the data sheet of the "
                            "adapter.",
                            path, line.baud)};
    case EINVAL:
        return {"port_mode", fmt::format("{} cannot be set to {} ({}). Does the adapter know this speed and "
                                         "frame?",
                                         path, to_text(line), reason)};
    default:
        return {"port_failed", fmt::format("{} failed: {}.", path, reason)};
    }
}

} // namespace things
