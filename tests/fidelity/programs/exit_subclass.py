# A subclass of SystemExit carries its code.
class Stop(SystemExit):
    def __init__(self, text):
        super().__init__(42)
        self.text = text


raise Stop("enough")
