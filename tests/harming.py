"""Files as a failing disk, or somebody who means harm, may leave them."""


def harmed(contents, rng):
    """The bytes with a few of them changed, or cut off."""
    if rng.random() < 0.25:
        return contents[:rng.randrange(len(contents))]
    contents = bytearray(contents)
    for _ in range(rng.choice((1, 1, 3))):
        place = rng.randrange(len(contents))
        contents[place] = rng.choice((contents[place] ^ 1 << rng.randrange(8), rng.randrange(256), ord(rng.choice('0-9."{}[]<>\n,'))))
    return bytes(contents)
