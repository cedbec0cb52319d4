"""Who may see a rider: the audience a rider chose, until when, and the places where nobody may."""
