// The headers that test programs share need a source to be compiled with.
